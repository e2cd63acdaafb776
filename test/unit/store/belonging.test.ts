import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import * as fs from "node:fs";
import type { ErrorCode } from "../../../src/errors/codes.ts";
import { keepStore } from "../../../src/store/kept.ts";
import { openReadable, openStore } from "../../../src/store/open-store.ts";
import { failureOf } from "../../expect/failure.ts";
import { temporaryDirectory } from "../../labs/temporary-directory.ts";

const directory = temporaryDirectory();
const record = () => directory.path("run/database");
let warnings: string[] = [];
const warn = (message: string) => void warnings.push(message);

const optionsOf = (name: string, bootId = "boot-1") => ({
  ...{ path: directory.path(`${name}/bpfman.db`), runtimeDir: directory.path("run"), bootId, warn },
});
function use(mode: "read" | "write", name: string, bootId?: string): void {
  warnings = [];
  openStore({ ...optionsOf(name, bootId), mode }).close();
}
const refused = (mode: "read" | "write", name: string): ErrorCode => failureOf(() => use(mode, name)).code;

test("the first writer takes the directory, a reader does not", () => {
  use("read", "a");
  expect(fs.existsSync(directory.path("run"))).toBe(false);
  use("write", "a");
  const [id, boot, path] = fs.readlinkSync(record()).split(" ");
  const database = new Database(directory.path("a/bpfman.db"), { readonly: true });
  expect(database.query("SELECT * FROM identity").all()).toEqual([{ database_id: id }]);
  database.close();
  expect([boot, path]).toEqual(["boot-1", directory.path("a/bpfman.db")]);
  use("write", "a");
  use("read", "a");
  expect(warnings).toEqual([]);
});

test("another database is refused, and not even made; in the next boot it may come first", () => {
  use("write", "a");
  expect([refused("write", "b"), refused("read", "b"), fs.existsSync(directory.path("b"))]).toEqual([
    ...(["STATE_FOREIGN", "STATE_FOREIGN"] as const),
    false,
  ]);
  use("read", "b", "boot-2");
  use("write", "b", "boot-2");
  expect(fs.readlinkSync(record())).toEndWith(` boot-2 ${directory.path("b/bpfman.db")}`);
});

test("a missing or empty database is lost: readers warn, writers stop; restored or moved it is the one", () => {
  use("write", "a");
  fs.renameSync(directory.path("a"), directory.path("b"));
  // Who names a third place where none is has lost it as well, as long as it is not where it was.
  for (const name of ["a", "c"]) {
    use("read", name);
    expect(warnings).toEqual([expect.stringContaining("is missing or empty")]);
    expect(refused("write", name)).toBe("STATE_LOST");
    expect(fs.existsSync(directory.path(name))).toBe(false);
  }
  fs.mkdirSync(directory.path("a"));
  fs.writeFileSync(directory.path("a/bpfman.db"), "");
  expect(refused("write", "a")).toBe("STATE_LOST");
  expect(fs.statSync(directory.path("a/bpfman.db")).size).toBe(0);
  use("read", "b");
  expect(warnings).toEqual([]);
  use("write", "b");
  expect(fs.readlinkSync(record())).toEndWith(` ${directory.path("b/bpfman.db")}`);
});

test("a copy is another one while the original is there, the same file by another name is not", () => {
  use("write", "a");
  fs.cpSync(directory.path("a"), directory.path("b"), { recursive: true });
  expect([refused("write", "b"), refused("read", "b")]).toEqual(["STATE_FOREIGN", "STATE_FOREIGN"]);
  fs.symlinkSync(directory.path("a"), directory.path("c"));
  use("read", "c");
  use("write", "c");
});

test("a reader that found no database is not refused because one is made while it reads", () => {
  const { store, check } = openReadable(optionsOf("a"));
  use("write", "a");
  check();
  expect([store.brief(), warnings]).toEqual([[], []]);
  fs.rmSync(record());
  use("write", "b");
  expect(failureOf(check).code).toBe("STATE_FOREIGN");
  store.close();
});

test("a reader that stays open is refused once the directory is another's", () => {
  use("write", "a");
  const { read: open } = keepStore(optionsOf("a"));
  open().close();
  fs.rmSync(record());
  use("write", "b");
  expect(failureOf(open).code).toBe("STATE_FOREIGN");
  fs.rmSync(record());
  use("write", "a");
  open().close();
});

test("what is not bpfman's in the place of the record is named; a half-made one is in nobody's way", () => {
  fs.mkdirSync(directory.path("run"));
  fs.writeFileSync(record(), "");
  expect([refused("read", "a"), refused("write", "a")]).toEqual(["STATE_CONFLICT", "STATE_CONFLICT"]);
  fs.rmSync(record());
  fs.symlinkSync("/etc/passwd", `${record()}.new`);
  use("write", "a");
  expect(fs.readdirSync(directory.path("run")).sort()).toEqual(["database", "records"]);
});
