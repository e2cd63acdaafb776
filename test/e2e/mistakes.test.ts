/** User mistakes and broken environments: each gives one clear message and the right exit code, and leaves nothing. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Database } from "bun:sqlite";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { buildBpf } from "../../scripts/build-bpf.ts";
import { BPFMAN, executable, idOf } from "../labs/executable.ts";
import { cable } from "../labs/kernel-lab.ts";
import { tcxAvailable } from "../labs/tcx-test.ts";

buildBpf();
const OBJECT = resolve(import.meta.dir, "../../dist/bpf/fixtures/life.bpf.o");
const LOAD = ["load", "file", "--path", OBJECT, "--programs"];
const bpfman = executable();

/** As a user sees it: one message, perhaps a hint, and no stack. */
async function said(exitCode: number, ...words: string[]): Promise<string> {
  const { code, out, error } = await bpfman.run(...words);
  expect({ words, code, out }).toEqual({ words, code: exitCode, out: "" });
  expect(error).toStartWith("error: ");
  expect(error.match(/^error: /gm)).toHaveLength(1);
  expect(error).not.toMatch(/^\s+at /m);
  return error;
}

describe("load", () => {
  test.each([
    [
      "a function that is not there",
      ["tcx:coutn"],
      1,
      'error: no program "coutn" in the object\nhint: did you mean "count"?',
    ],
    [
      "a type that the section contradicts",
      ["xdp:count"],
      1,
      'error: program type mismatch: asked for xdp, but section "tc" of count is tc\nhint: name it tc:count\n',
    ],
    ["a type that does not exist", ["tcy:count"], 2, 'error: invalid program type "tcy": must be one of xdp, tc, '],
    [
      "a third part that the type has not",
      ["tcx:count:do_unlinkat"],
      2,
      "tcx takes no function at load; must be tcx:NAME",
    ],
    ["the same program twice", ["tcx:count", "tcx:count"], 1, 'program "count" is named twice'],
    [
      "a global that is too short",
      ["tcx:count", "-g", "LIMIT=0A"],
      1,
      'error: global variable "LIMIT" is 4 bytes long, but the value given has 1\nhint: give 8 hex digits',
    ],
    [
      "a global that is not there",
      ["tcx:count", "-g", "LIMITS=0A000000"],
      1,
      'error: global variable "LIMITS" not found in program\nhint: did you mean "LIMIT"?',
    ],
    ["a global that is not hex", ["tcx:count", "-g", "LIMIT=ten"], 2, "LIMIT"],
    ["a global with 0x", ["tcx:count", "-g", "LIMIT=0x0A000000"], 2, "0x"],
    ["a global without a value", ["tcx:count", "-g", "LIMIT"], 2, "LIMIT"],
    ["metadata without a value", ["tcx:count", "-m", "owner"], 2, "owner"],
    ["a map owner that is no number", ["tcx:count", "--map-owner-id", "1x"], 2, '"1x"'],
    ["a map owner that is not there", ["tcx:count", "--map-owner-id", "x"], 3, 'no program is named "x"'],
    ["an option that does not exist", ["tcx:count", "--globals", "LIMIT=0A000000"], 2, "--globals"],
  ] as const)("%s", async (...[, words, exitCode, message]) => {
    const error = await said(exitCode, ...LOAD, ...words);
    expect(error).toContain(message);
    expect(error.includes("\nUsage: ")).toBe(exitCode === 2);
    await bpfman.expectNothingLeft();
  });

  test("a file that is not there, and no file at all", async () => {
    expect(await said(3, "load", "file", "-p", "/no/such.o", "--programs", "tcx:count")).toBe(
      'error: read "/no/such.o": the file does not exist\nhint: there is no directory "/no"\n',
    );
    expect(await said(3, "load", "file", "-p", OBJECT.replace("life", "lief"), "--programs", "tcx:count")).toEndWith(
      '\nhint: did you mean "life.bpf.o"?\n',
    );
    expect(await said(2, "load", "file", "--programs", "tcx:count")).toContain("--path");
    expect(await said(2, "load", "file", "-p", OBJECT)).toContain("--programs");
  });
});

describe("attach", () => {
  const wire = cable();

  test("an interface, a namespace, a priority or a direction that is wrong", async () => {
    const id = String(idOf(await bpfman.load(OBJECT, "--programs", "tcx:count"), "count"));
    const tcx = (...words: string[]) => ["attach", id, "tcx", ...words];
    const place = ["-d", "ingress", "-p", "50"];
    const unknown = await said(3, ...tcx("-i", "veth9", "-n", wire.netns, ...place));
    expect(unknown).toContain('"veth9"');
    expect(unknown).toContain(wire.netns);
    expect(unknown).toContain(wire.interface);
    expect(await said(3, ...tcx("-i", "no-such-iface", ...place))).toContain('"no-such-iface"');
    for (const path of ["/run/netns/bpfman-none", OBJECT, "/proc/self/ns/mnt"]) {
      expect(await said(3, ...tcx("-i", wire.interface, "-n", path, ...place))).toContain(path);
    }
    const hook = ["-i", wire.interface, "-n", wire.netns];
    for (const priority of ["1001", "-1", "1.5", "high"]) {
      expect(await said(2, ...tcx(...hook, "-d", "ingress", `-p=${priority}`))).toContain("0 to 1000");
    }
    expect(await said(2, ...tcx(...hook, "-d", "in", "-p", "50"))).toMatch(/ingress, egress/);
    expect(await said(2, ...tcx(...hook, "-p", "50"))).toContain("--direction");
    expect(await said(2, ...tcx("-d", "ingress", "-p", "50"))).toContain("--iface");
    expect(await bpfman.links()).toEqual([]);
    if (!tcxAvailable) expect(await said(1, ...tcx(...hook, ...place))).toContain("TCX needs Linux 6.6");
  });

  test("another kind than the program's, in both directions", async () => {
    const programs = await bpfman.load(OBJECT, "--programs", "uprobe:on_call", "uretprobe:on_return", "tcx:count");
    const id = (name: string) => String(idOf(programs, name));
    for (const [name, called, hook, words] of [
      ["on_call", "a uprobe", "uprobe", ["kprobe", "-f", "do_unlinkat"]],
      ["on_return", "a uretprobe", "uprobe", ["tracepoint", "-t", "sched/sched_switch"]],
      ["count", "a TCX", "tcx", ["uprobe", "-t", "libc", "-f", "malloc"]],
      ["count", "a TCX", "tcx", ["xdp", "-i", wire.interface, "-n", wire.netns, "-p", "50"]],
      ["count", "a TCX", "tcx", ["fentry"]],
    ] as const) {
      expect(await said(1, "attach", id(name), ...words)).toStartWith(
        `error: program ${id(name)} is ${called} program; attach it with "bpfman attach ${id(name)} ${hook}"\n`,
      );
    }
    expect(await said(2, "attach", id("count"), "socket")).toContain('"socket"');
    expect(await said(2, "attach", "tcx", "count")).toContain("Usage: ");
    expect(await bpfman.links()).toEqual([]);
  });

  test("a tracepoint that is not there", async () => {
    const id = String(idOf(await bpfman.load(OBJECT, "--programs", "tracepoint:on_openat"), "on_openat"));
    const error = await said(3, "attach", id, "tracepoint", "-t", "syscalls/sys_enter_opennat");
    expect(error).toContain('no tracepoint "syscalls/sys_enter_opennat" in this kernel');
    expect(error).toContain('"syscalls/sys_enter_openat"');
    expect(await said(2, "attach", id, "tracepoint", "-t", "sched_switch")).toContain("sched_switch");
    expect(await said(3, "attach", "4294967295", "tracepoint", "-t", "sched/sched_switch")).toContain("4294967295");
  });
});

describe("ids", () => {
  test("a second time, several at once, and an invalid ID", async () => {
    const programs = await bpfman.load(OBJECT, "--programs", "tracepoint:on_openat", "tcx:count");
    const [first, second] = [String(idOf(programs, "on_openat")), String(idOf(programs, "count"))];
    const { record } = await bpfman.attach(Number(first), "tracepoint", "-t", "syscalls/sys_enter_openat");
    const link = String(record.id);
    await bpfman.ok("detach", link);
    expect(await said(3, "detach", link)).toBe(`error: link ${link} does not exist\nhint: see "bpfman list links"\n`);
    expect(await said(3, "get", "link", link)).toContain(`link ${link} does not exist`);

    // Each is tried; the exit code is that of the first failure.
    const { code, out, error } = await bpfman.run("unload", first, "4294967295", second, first);
    expect({ code, out }).toEqual({ code: 3, out: "" });
    expect(error.match(/^error: .*$/gm)).toEqual(["error: program 4294967295 does not exist"]);
    expect(await bpfman.programs()).toEqual([]);
    for (const word of ["0", "-1", "4294967296", "1.5", "id", ""]) {
      expect(await said(2, "unload", word)).toContain("Usage: ");
    }
    expect(await said(3, "unload", "abc")).toContain('no program is named "abc"');
    expect(await said(2, "unload")).toContain("Usage: ");
  });
});

describe("errors as JSON", () => {
  test("parse, with the same keys, for mistakes of each kind", async () => {
    await bpfman.refused(2, "USAGE", "load", "file", "--nonsense");
    await bpfman.refused(2, "INVALID_GLOBAL", ...LOAD, "tcx:count", "-g", "LIMIT=zz");
    await bpfman.refused(1, "INVALID_GLOBAL", ...LOAD, "tcx:count", "-g", "LIMIT=00");
    await bpfman.refused(1, "FUNCTION_NOT_FOUND", ...LOAD, "tcx:none");
    const missing = await bpfman.refused(3, "PROGRAM_NOT_FOUND", "get", "program", "4294967295");
    expect(missing).toEqual({
      code: "PROGRAM_NOT_FOUND",
      kind: "not-found",
      message: "program 4294967295 does not exist",
      hint: 'see "bpfman list programs"',
      details: { program_id: 4294967295 },
      verifier_log: null,
    });
    // One object for each failure of a command that takes several ids.
    const { code, error } = await bpfman.run("unload", "4294967294", "4294967295", "-o", "json");
    expect(code).toBe(3);
    const objects = error.trimEnd().split(/(?<=\n\})\n/);
    expect(objects.map((text) => JSON.parse(text).error.details.program_id)).toEqual([4294967294, 4294967295]);
  });
});

describe("a user without rights", () => {
  /** A copy that everybody can reach, wherever the sources are. */
  let directory = "";
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), "bpfman-nobody-"));
    chmodSync(directory, 0o755);
    cpSync(BPFMAN, join(directory, "bpfman"));
    chmodSync(join(directory, "bpfman"), 0o755);
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  test.each([
    ["load file --path /bin/true --programs tcx:count"],
    ["unload 1"],
    ["attach 1 tracepoint --tracepoint sched/sched_switch"],
    ["detach 1"],
    ["list programs"],
    ["list links"],
    ["get program 1"],
    ["get link 1"],
  ])("%s", (line) => {
    const before = existsSync("/run/bpfman");
    const nobody = { uid: 65534, gid: 65534, cwd: "/", env: {} };
    const result = Bun.spawnSync([join(directory, "bpfman"), ...line.split(" ")], nobody);
    expect({ code: result.exitCode, out: result.stdout.toString() }).toEqual({ code: 4, out: "" });
    const command = `bpfman ${line.startsWith("attach") ? "attach tracepoint" : line.replace(/ (\d+|--.*)$/, "")}`;
    const error = result.stderr.toString();
    expect(error).toMatch(/^error: ".*" needs root or CAP_BPF: .*\nhint: run it with sudo, or .*\n$/);
    expect(error).toStartWith(`error: "${command}`);
    expect(existsSync("/run/bpfman")).toBe(before);
  });
});

describe("output that nobody reads", () => {
  const shell = (script: string) => {
    const result = Bun.spawnSync(["bash", "-c", script, "bash", ...bpfman.command()], { env: { ...process.env } });
    return { code: result.exitCode, out: result.stdout.toString(), error: result.stderr.toString() };
  };

  test("| head -1 is no error", async () => {
    await bpfman.load(OBJECT, "--programs", "tcx:count", "tracepoint:on_openat");
    const line = '"$@" list programs -o json | head -1; exit $PIPESTATUS';
    expect(shell(line)).toEqual({ code: 0, out: "{\n", error: "" });
  });

  test("a pipe whose reader has gone is no error", async () => {
    await bpfman.load(OBJECT, "--programs", "tcx:count");
    // The reader ends before the writer begins.
    const closed = 'exec 3> >(exec true); wait $!; "$@" list programs -a -o json >&3; echo $?';
    expect(shell(closed)).toEqual({ code: 0, out: "0\n", error: "" });
    const help = 'exec 3> >(exec true); wait $!; "$@" --help >&3; echo $?';
    expect(shell(help)).toEqual({ code: 0, out: "0\n", error: "" });
    const error = 'exec 3> >(exec true); wait $!; "$@" get program 4294967295 2>&3; echo $?';
    expect(shell(error)).toEqual({ code: 0, out: "3\n", error: "" });
  });

  test("no stdout at all is no crash", () => {
    expect(shell('"$@" list programs >&-').error).toBe("");
  });

  test("a full disk is reported as such, not as an internal error", () => {
    for (const words of ["list programs", "--help"]) {
      const { code, error } = shell(`"$@" ${words} >/dev/full`);
      expect(code).toBe(1);
      expect(error).toMatch(/^error: write to standard output: .*ENOSPC.*\n/);
    }
  });
});

describe("a database that cannot be used", () => {
  const path = () => `${bpfman.runtimeDir}/state/bpfman.db`;
  const side = () => ["", "-wal", "-shm"].map((ending) => `${path()}${ending}`);

  /** What reads and what writes refuse; the file stays byte for byte. */
  async function refusesAll(code: "DATABASE_UNUSABLE" | "SCHEMA_TOO_NEW"): Promise<void> {
    const before = readFileSync(path());
    for (const words of [
      ["list", "programs"],
      ["list", "links"],
      ["get", "program", "1"],
      [...LOAD, "tcx:count"],
      ["unload", "1"],
    ]) {
      const failure = await bpfman.refused(5, code, ...words);
      expect(failure.message).toContain(path());
    }
    expect(readFileSync(path()).equals(before)).toBe(true);
    for (const file of side()) rmSync(file, { force: true });
  }

  test("random bytes", async () => {
    mkdirSync(`${bpfman.runtimeDir}/state`, { mode: 0o700 });
    writeFileSync(path(), crypto.getRandomValues(new Uint8Array(20_000)));
    await refusesAll("DATABASE_UNUSABLE");
  });

  test("a directory in its place", async () => {
    mkdirSync(path(), { recursive: true, mode: 0o700 });
    chmodSync(`${bpfman.runtimeDir}/state`, 0o700);
    await bpfman.refused(5, "DATABASE_UNUSABLE", "list", "programs");
    await bpfman.refused(5, "DATABASE_UNUSABLE", ...LOAD, "tcx:count");
    rmSync(path(), { recursive: true });
  });

  test("pages that were overwritten", async () => {
    await bpfman.begin();
    const bytes = readFileSync(path());
    for (const file of side()) rmSync(file, { force: true });
    writeFileSync(path(), bytes.fill(0xa5, 4096));
    await refusesAll("DATABASE_UNUSABLE");
  });

  test("the schema of a newer version", async () => {
    await bpfman.begin();
    const database = new Database(path());
    database.run("PRAGMA user_version = 4711");
    database.run("PRAGMA wal_checkpoint(TRUNCATE)");
    database.close();
    await refusesAll("SCHEMA_TOO_NEW");
  });

  test("somebody else's database", async () => {
    mkdirSync(`${bpfman.runtimeDir}/state`, { mode: 0o700 });
    const database = new Database(path());
    database.run("CREATE TABLE recipes (name TEXT)");
    database.close();
    await refusesAll("DATABASE_UNUSABLE");
  });
});

describe("directories that cannot be used", () => {
  /** Runs the command line in a mount namespace in which `directory` can only be read. */
  const readOnly = (directory: string, ...words: string[]) => {
    const script = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@"';
    const command = ["unshare", "--mount", "sh", "-c", script, "sh", directory, ...bpfman.command(...words)];
    const result = Bun.spawnSync(command);
    return { code: result.exitCode, out: result.stdout.toString(), error: result.stderr.toString() };
  };

  test("a runtime directory that cannot be written to", () => {
    const { code, out, error } = readOnly(bpfman.runtimeDir, ...LOAD, "tcx:count");
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(error).toMatch(/^error: use lock file ".*\/run\/lock": .*\n/);
    expect(error).toContain("EROFS");
    expect(error).toEndWith("or give another --runtime-dir\n");
    expect(readdirSync(bpfman.runtimeDir)).toEqual([]);
    expect(readOnly(bpfman.runtimeDir, "list", "programs").code).toBe(0);
  });

  test("a state directory that cannot be written to: writers refuse before they load, readers read", async () => {
    const programs = await bpfman.load(OBJECT, "--programs", "tcx:count");
    const state = `${bpfman.runtimeDir}/state`;
    const { code, out, error } = readOnly(state, ...LOAD, "tcx:count", "-o", "json");
    expect({ code, out }).toEqual({ code: 5, out: "" });
    expect(JSON.parse(error).error).toMatchObject({ code: "DATABASE_UNUSABLE" });
    const listed = readOnly(state, "list", "programs", "-o", "json");
    expect({ code: listed.code, error: listed.error }).toEqual({ code: 0, error: "" });
    expect(JSON.parse(listed.out).programs).toHaveLength(1);
    expect(await bpfman.programs()).toMatchObject([{ program_id: idOf(programs, "count") }]);
    expect(readdirSync(`${state}/bytecode/sha256`)).toHaveLength(1);
  });

  test("a runtime directory that is a file, or open to everybody", async () => {
    writeFileSync(bpfman.path("file"), "");
    const elsewhere = (directory: string) => Bun.spawnSync([BPFMAN, "--runtime-dir", directory, ...LOAD, "tcx:count"]);
    const file = elsewhere(bpfman.path("file"));
    expect(file.exitCode).toBe(1);
    expect(file.stderr.toString()).toMatch(/^error: use lock file /);
    mkdirSync(bpfman.path("open"));
    chmodSync(bpfman.path("open"), 0o777);
    const open = elsewhere(bpfman.path("open"));
    expect(open.exitCode).toBe(5);
    expect(open.stderr.toString()).toContain("other users can write to it (mode 777)");
    expect(existsSync(bpfman.path("open/fs"))).toBe(false);
  });
});

describe("global options", () => {
  test("wrong values are usage errors", async () => {
    for (const [words, named] of [
      [["--output", "yaml"], "yaml"],
      [["--lock-timeout", "soon"], "soon"],
      [["--log-level", "loud"], "loud"],
    ] as const) {
      expect(await said(2, "list", "programs", ...words)).toContain(named);
    }
    expect(await said(2, "lost", "programs")).toContain("lost");
    writeFileSync(bpfman.path("bad.toml"), "[database]\nmax_retries = many\n");
    const { code, error } = await bpfman.run("list", "programs", "--config", bpfman.path("bad.toml"));
    expect(code).toBe(1);
    expect(error).toContain(`${bpfman.path("bad.toml")}`);
    expect(error).toMatch(/line 2|:2:/);
    expect(await said(3, "list", "programs", "--config", "/no/such.toml")).toContain("/no/such.toml");
  });
});
