/** dist/bpfman as a file: it runs anywhere, for any user, and trusts nothing in the current directory. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import packageJson from "../../package.json" with { type: "json" };

const BPFMAN = resolve(import.meta.dir, "../../dist/bpfman");
/** Debian's user without rights. */
const NOBODY = { uid: 65534, gid: 65534 };

let directory = "";
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "bpfman-executable-"));
  chmodSync(directory, 0o755);
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

interface Run {
  readonly code: number | null;
  readonly out: string;
  readonly error: string;
}

function run(
  command: readonly string[],
  options: { readonly uid?: number; readonly gid?: number; cwd?: string } = {},
): Run {
  const result = Bun.spawnSync([...command], { cwd: directory, ...options, env: { PATH: process.env.PATH ?? "" } });
  return { code: result.exitCode, out: result.stdout.toString(), error: result.stderr.toString() };
}

describe("without rights, from any directory", () => {
  /** A copy that everybody can reach, wherever the sources are. */
  let copy = "";
  beforeAll(() => {
    copy = join(directory, "bpfman");
    cpSync(BPFMAN, copy);
    chmodSync(copy, 0o755);
  });

  test.each(["--help", "-h", "help", "load file --help", "attach 1 tcx -h"])("%s", (line) => {
    const { code, out, error } = run([copy, ...line.split(" ")], { ...NOBODY, cwd: "/" });
    expect({ code, error }).toEqual({ code: 0, error: "" });
    expect(out).toContain("bpfman");
  });

  test("help fits the terminal that it is on, or COLUMNS", async () => {
    const widest = async (cols: number, env: Readonly<Record<string, string>> = {}): Promise<number> => {
      let shown = "";
      const data = (_: unknown, bytes: Uint8Array): void => {
        shown += new TextDecoder().decode(bytes);
      };
      const child = Bun.spawn([copy, "attach", "--help"], { cwd: "/", env, terminal: { cols, rows: 24, data } });
      expect(await child.exited).toBe(0);
      child.terminal?.close();
      return Math.max(...shown.split("\r\n").map((line) => line.length));
    };
    expect(await widest(80)).toBeWithin(70, 81);
    expect(await widest(64)).toBeWithin(50, 65);
    expect(await widest(200)).toBeWithin(81, 101);
    expect(await widest(200, { COLUMNS: "60" })).toBeWithin(50, 61);
  });

  test("version names this build", () => {
    const { code, out } = run([copy, "version", "-o", "json"], { ...NOBODY, cwd: "/" });
    expect(code).toBe(0);
    const answer: { version: string; commit: string; bun: string } = JSON.parse(out);
    expect(answer.version).toBe(packageJson.version);
    expect(answer.commit).toMatch(/^([0-9a-f]{12}(-dirty)?|unknown)$/);
    expect(answer.bun).toBe(Bun.version);
  });

  test("what needs root says so", () => {
    const { code, out, error } = run([copy, "list", "programs"], { ...NOBODY, cwd: "/" });
    expect({ code, out }).toEqual({ code: 4, out: "" });
    expect(error).toContain("needs root");
  });
});

describe("the current directory is not trusted", () => {
  test("a bunfig.toml there is not obeyed", () => {
    const place = join(directory, "bunfig");
    mkdirSync(place);
    writeFileSync(join(place, "preload.ts"), 'console.log("PRELOADED");\n');
    writeFileSync(join(place, "bunfig.toml"), 'preload = ["./preload.ts"]\n');
    const { code, out, error } = run([BPFMAN, "version"], { cwd: place });
    expect(code).toBe(0);
    expect(out + error).not.toContain("PRELOADED");
  });

  test("a .env there is not read", () => {
    const place = join(directory, "dotenv");
    mkdirSync(place);
    writeFileSync(join(place, ".env"), "BPFMAN_LOG=nonsense\n");
    const { code, error } = run([BPFMAN, "version"], { cwd: place });
    expect({ code, error }).toEqual({ code: 0, error: "" });
  });

  test("a tsconfig.json or package.json there that does not parse is no matter", () => {
    const place = join(directory, "broken");
    mkdirSync(place);
    for (const name of ["tsconfig.json", "package.json"]) writeFileSync(join(place, name), "{");
    expect(run([BPFMAN, "version"], { cwd: place }).code).toBe(0);
  });
});

test("without libbpf the version says so and help works", () => {
  // A mount namespace of its own, in which the library is covered by an empty file.
  const script = `
    for library in $(find /usr/lib /lib -name 'libbpf.so*' 2>/dev/null); do mount --bind /dev/null "$library"; done
    exec "${BPFMAN}" "$@"`;
  const without = (...args: string[]) => run(["unshare", "--mount", "sh", "-c", script, "sh", ...args]);
  const version = without("version", "-o", "json");
  expect({ code: version.code, error: version.error }).toEqual({ code: 0, error: "" });
  expect(JSON.parse(version.out)).toMatchObject({ libbpf: null });
  expect(without("--help")).toMatchObject({ code: 0, error: "" });
});
