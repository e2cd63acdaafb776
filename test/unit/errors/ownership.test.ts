import { expect, test } from "bun:test";
import { requireOwn } from "../../../src/errors/ownership.ts";
import { failureOf } from "../../expect/failure.ts";

const ME = process.geteuid?.() ?? 0;
const statsOf = (kind: "file" | "directory" | "link", uid: number, mode: number) => ({
  uid,
  mode: 0o100000 | mode,
  isFile: () => kind === "file",
  isDirectory: () => kind === "directory",
  isSymbolicLink: () => kind === "link",
});
const owned = (kind: "file" | "directory") =>
  ({ action: "use it", path: "/a b", kind, code: "DATABASE_UNUSABLE", otherwise: "do otherwise" }) as const;

test("root's and one's own are taken when nobody else can write to them", () => {
  for (const uid of [0, ME]) {
    for (const mode of [0o600, 0o644, 0o700, 0o755, 0o1755]) {
      for (const kind of ["file", "directory"] as const) requireOwn(owned(kind), statsOf(kind, uid, mode));
    }
  }
});

test.each([
  {
    kind: "file",
    stats: statsOf("file", ME + 1000, 0o600),
    problem: `it belongs to user ${ME + 1000}`,
    remedy: 'chown root "/a b"',
  },
  {
    kind: "directory",
    stats: statsOf("directory", ME + 1000, 0o777),
    problem: `it belongs to user ${ME + 1000}`,
    remedy: 'chown -R root "/a b"',
  },
  {
    kind: "file",
    stats: statsOf("file", ME, 0o666),
    problem: "other users can write to it (mode 666)",
    remedy: 'chmod go-w "/a b"',
  },
  {
    kind: "directory",
    stats: statsOf("directory", 0, 0o1777),
    problem: "other users can write to it (mode 1777)",
    remedy: "make a directory in it",
  },
  {
    kind: "directory",
    stats: statsOf("directory", ME, 0o770),
    problem: "other users can write to it (mode 770)",
    remedy: 'chmod go-w "/a b"',
  },
  {
    kind: "directory",
    stats: statsOf("link", ME, 0o777),
    problem: "it is a symbolic link",
    remedy: "put a directory there",
  },
  { kind: "directory", stats: statsOf("file", ME, 0o600), problem: "it is not a directory", remedy: "move it away" },
  { kind: "file", stats: statsOf("directory", ME, 0o700), problem: "it is not a regular file", remedy: "move it away" },
] as const)("a $kind is refused with what mends it: $problem", ({ kind, stats, problem, remedy }) => {
  const error = failureOf(() => requireOwn(owned(kind), stats));
  expect([error.code, error.message]).toEqual(["DATABASE_UNUSABLE", `use it "/a b": ${problem}`]);
  expect(error.hint).toContain(remedy);
  expect(error.hint).toEndWith(", or do otherwise");
  expect(error.details).toEqual({ path: "/a b", uid: stats.uid, mode: (stats.mode & 0o7777).toString(8) });
});
