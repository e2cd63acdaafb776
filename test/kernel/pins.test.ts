/** The BPF file system, mounted in our own directories. */
import { expect, test } from "bun:test";
import * as fs from "node:fs";
import { openPins } from "../../src/bpffs/open-pins.ts";
import { linkId, programId } from "../../src/domain/ids.ts";
import { closeFd } from "../../ffi/safe/libc.ts";
import { mapInfo } from "../../ffi/safe/object-info.ts";
import { openPin } from "../../src/kernel/pin.ts";
import { openPinnedObject } from "../../src/kernel/pinned-object.ts";
import { failureOf } from "../expect/failure.ts";
import { temporaryDirectory } from "../labs/temporary-directory.ts";

const isRoot = process.geteuid?.() === 0;
const directory = temporaryDirectory(() => {
  for (const [, target = ""] of mounts().reverse()) Bun.spawnSync(["umount", target]);
  expect(mounts()).toEqual([]);
});
const root = () => directory.path("run/fs");
/** Mounts at or below the test's directory, as source, target, type, options. */
const mounts = () =>
  fs
    .readFileSync("/proc/self/mounts", "utf8")
    .split("\n")
    .filter((line) => line.includes(directory.path()))
    .map((line) => line.split(" "));
/** A pin that holds a real kernel object: a map that bpftool makes. */
function pinMap(path: string): void {
  const command = [
    "bpftool",
    "map",
    "create",
    path,
    "type",
    "array",
    "key",
    "4",
    "value",
    "4",
    "entries",
    "1",
    "name",
    "t",
  ];
  const result = Bun.spawnSync(command, { stderr: "pipe", stdout: "pipe" });
  if (result.exitCode !== 0) throw new Error(`bpftool: ${result.stdout}${result.stderr}`);
}

test.skipIf(!isRoot)("prepare mounts once, with the options and directories agreed on", () => {
  const pins = openPins(root());
  pins.prepare();
  pins.prepare();
  openPins(root()).prepare();
  expect(mounts()).toHaveLength(1);
  const [[, target, type, options = ""] = []] = mounts();
  expect([target, type]).toEqual([root(), "bpf"]);
  expect(options.split(",")).toEqual(expect.arrayContaining(["nosuid", "nodev", "noexec", "mode=700"]));
  expect(fs.statfsSync(root()).type).toBe(0xcafe4a11);
  expect(fs.statSync(directory.path("run")).mode & 0o777).toBe(0o750);
  for (const name of ["", "maps", "shared", "links"]) expect(fs.statSync(`${root()}/${name}`).mode & 0o777).toBe(0o700);
  expect(pins.list(root())).toEqual(expect.arrayContaining(["maps", "shared", "links"]));
});

test.skipIf(!isRoot)("pins come, are seen, and go; a pin that was not there says so", () => {
  const pins = openPins(root());
  const { paths } = pins;
  pins.prepare();
  pins.makeDirectory(paths.mapDirectory(programId(5)));
  pins.makeDirectory(paths.mapDirectory(programId(5)));
  const pin = paths.map(programId(5), "counters");
  expect(pins.exists(pin)).toBe(false);
  pinMap(pin);
  pinMap(paths.map(programId(5), "x".repeat(255)));
  expect(pins.exists(pin)).toBe(true);
  expect(pins.list(paths.mapDirectory(programId(5))).sort()).toEqual(["counters", "x".repeat(255)]);
  expect([pins.remove(pin), pins.remove(pin), pins.exists(pin)]).toEqual([true, false, false]);
  expect(pins.remove(paths.link(linkId(1)))).toBe(false);
  expect(pins.removeDirectory(paths.mapDirectory(programId(5)))).toBe(false);
  expect(pins.remove(paths.map(programId(5), "x".repeat(255)))).toBe(true);
  expect(pins.removeDirectory(paths.mapDirectory(programId(5)))).toBe(true);
  expect(pins.removeDirectory(paths.mapDirectory(programId(5)))).toBe(false);
  expect(pins.exists(paths.mapDirectory(programId(5)))).toBe(false);
});

test.skipIf(!isRoot)("the kernel rejects dots in names, as the paths assume", () => {
  openPins(root()).prepare();
  expect(() => pinMap(`${root()}/shared/a.b`)).toThrow("Operation not permitted");
});

test.skipIf(!isRoot)("a directory in the place of a pin is an error, and stays, as one with something in it", () => {
  const pins = openPins(root());
  pins.prepare();
  const path = pins.paths.program(programId(5));
  pins.makeDirectory(path);
  expect(failureOf(() => pins.remove(path)).code).toBe("IO_FAILED");
  expect(pins.exists(path)).toBe(true);
  pins.makeDirectory(`${path}/below`);
  expect([pins.removeDirectory(path), pins.exists(`${path}/below`)]).toEqual([false, true]);
});

test.skipIf(!isRoot)("a bpffs that is mounted already is taken as it is", () => {
  fs.mkdirSync(root(), { recursive: true, mode: 0o700 });
  fs.chmodSync(directory.path("run"), 0o700);
  expect(Bun.spawnSync(["mount", "-t", "bpf", "-o", "mode=0700", "own", root()]).exitCode).toBe(0);
  openPins(root()).prepare();
  expect(mounts().map(([source]) => source)).toEqual(["own"]);
  expect(fs.statSync(directory.path("run")).mode & 0o777).toBe(0o700);
});

test.skipIf(!isRoot)("directories that others could change are rejected, and nothing is mounted", () => {
  const cases: readonly [string, () => void, string][] = [
    ["run", () => fs.chmodSync(directory.path("run"), 0o777), "other users can write to it (mode 777)"],
    ["run", () => fs.chmodSync(directory.path("run"), 0o770), "other users can write to it (mode 770)"],
    ["run", () => fs.chownSync(directory.path("run"), 1234, 0), "it belongs to user 1234"],
    [
      "run",
      () => {
        fs.renameSync(directory.path("run"), directory.path("elsewhere"));
        fs.symlinkSync(directory.path("elsewhere"), directory.path("run"));
      },
      "it is a symbolic link",
    ],
    ["run/fs", () => fs.symlinkSync("/tmp", root()), "it is a symbolic link"],
  ];
  for (const [name, spoil, problem] of cases) {
    fs.mkdirSync(directory.path("run"), { mode: 0o750 });
    spoil();
    const error = failureOf(() => openPins(root()).prepare());
    if (name === "run") expect(failureOf(() => openPins(root())).code).toBe("STATE_CONFLICT");
    expect([error.code, error.message]).toEqual([
      "STATE_CONFLICT",
      `use the runtime directory "${directory.path(name)}": ${problem}`,
    ]);
    expect(mounts()).toEqual([]);
    fs.rmSync(directory.path("run"), { recursive: true, force: true });
    fs.rmSync(directory.path("elsewhere"), { recursive: true, force: true });
  }
});

test.skipIf(!isRoot)("a file in the directory's place is said to be there", () => {
  fs.writeFileSync(directory.path("run"), "");
  const error = failureOf(() => openPins(root()).prepare());
  expect([error.code, error.details.path]).toEqual(["STATE_CONFLICT", directory.path("run")]);
});

test.skipIf(!isRoot)("without the capability to mount, the error says what is needed", () => {
  const program = `import { openPins } from ${JSON.stringify(`${import.meta.dir}/../../src/bpffs/open-pins.ts`)};
    try { openPins(${JSON.stringify(root())}).prepare(); } catch (error) {
      console.log(JSON.stringify([error.code, error.message, error.hint, error.sys]));
    }`;
  const bounded = [
    "setpriv",
    "--bounding-set",
    "-sys_admin",
    "--inh-caps",
    "-sys_admin",
    process.execPath,
    "-e",
    program,
  ];
  const result = Bun.spawnSync(bounded, { stdout: "pipe", stderr: "pipe" });
  const [code, message, hint, sys] = JSON.parse(result.stdout.toString() || "[]");
  expect([code, message]).toEqual([
    "BPFFS_UNAVAILABLE",
    `mount a BPF file system on "${root()}": mount: Operation not permitted`,
  ]);
  expect(hint).toContain("CAP_SYS_ADMIN");
  expect(sys).toEqual({ call: "mount", errno: 1, name: "EPERM" });
});

test.skipIf(!isRoot)("a file elsewhere is no pin, and the hint says what is one", () => {
  const file = directory.path("file");
  fs.writeFileSync(file, "");
  const { code, message, hint } = failureOf(() => openPin(file));
  expect(code).toBe("STATE_CONFLICT");
  expect(message).toContain("it is not a pin in a BPF file system");
  expect(hint).toContain("a pin is a path in a BPF file system");
});

test.skipIf(!isRoot)("an object is found by its pins, also after these have changed", () => {
  openPins(root()).prepare();
  const refusal = new Error("the refusal of the kernel");
  const pinned = (path: string): number => {
    pinMap(path);
    const handle = openPin(path);
    handle?.close();
    return Number(handle?.id);
  };
  const find = (id: number): number => {
    const fd = openPinnedObject(root(), { kind: "map", id, refusal });
    try {
      return mapInfo(fd).id;
    } finally {
      closeFd(fd);
    }
  };
  const [one, other] = [`${root()}/shared/one`, `${root()}/maps/other`];
  const first = pinned(one);
  expect(find(first)).toBe(first);
  const second = pinned(other);
  expect([find(second), find(first)]).toEqual([second, first]);
  // Another map in the place of the first, which then is elsewhere, then nowhere.
  fs.renameSync(one, `${one}_moved`);
  const third = pinned(one);
  expect([find(third), find(first)]).toEqual([third, first]);
  fs.rmSync(`${one}_moved`);
  expect(() => find(first)).toThrow(refusal);
  expect(() => openPinnedObject(root(), { kind: "program", id: second, refusal })).toThrow(refusal);
  expect([find(third), find(second)]).toEqual([third, second]);
});
