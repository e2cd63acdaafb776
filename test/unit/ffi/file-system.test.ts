/** ffi/safe/file-system.ts must report the same about a real directory as node:fs. */
import { expect, test } from "bun:test";
import * as node from "node:fs";
import * as own from "../../../ffi/safe/file-system.ts";
import { temporaryDirectory } from "../../labs/temporary-directory.ts";

const directory = temporaryDirectory();
const at = (name: string): string => directory.path(name);

/** A failure of either, as far as callers look at it. */
function failure(run: () => unknown): Readonly<Record<string, unknown>> | null {
  try {
    run();
    return null;
  } catch (thrown) {
    const { code, errno, syscall, path, message } = thrown as NodeJS.ErrnoException;
    return { code, errno, syscall, path, message };
  }
}

test("statuses are those of node:fs", () => {
  node.writeFileSync(at("file"), "four", { mode: 0o640 });
  node.linkSync(at("file"), at("second name"));
  node.mkdirSync(at("directory"), { mode: 0o751 });
  node.symlinkSync("file", at("link"));
  node.symlinkSync("nowhere", at("broken"));
  for (const path of [at("file"), at("directory"), at("link"), "/dev/null", "/proc/self/stat"]) {
    for (const [mine, theirs] of [
      [own.statSync(path), node.statSync(path, { bigint: true })],
      [own.lstatSync(path), node.lstatSync(path, { bigint: true })],
    ] as const) {
      expect([path, mine?.mode, mine?.uid, mine?.nlink, mine?.size, mine?.ino]).toEqual([
        path,
        ...[theirs.mode, theirs.uid, theirs.nlink, theirs.size].map(Number),
        theirs.ino,
      ]);
      expect([path, mine?.changedMs()]).toEqual([path, Number(theirs.ctimeMs)]);
      for (const is of ["isFile", "isDirectory", "isSymbolicLink", "isCharacterDevice"] as const)
        expect([path, is, mine?.[is]()]).toEqual([path, is, theirs[is]()]);
    }
  }
  // Of two files that are one, the device says so as well.
  expect(own.statSync(at("file"))?.dev).toBe(own.statSync(at("second name"))?.dev as number);
  expect(own.statSync(at("file"))?.dev).not.toBe(own.statSync("/proc/self/stat")?.dev as number);
});

test("what is not there is undefined, or does not exist", () => {
  for (const path of [at("nothing"), at("broken"), "/dev/null/below", ""]) {
    expect([path, own.statSync(path), own.existsSync(path)]).toEqual([path, undefined, false]);
  }
  node.symlinkSync("nowhere", at("broken"));
  expect([own.lstatSync(at("broken"))?.isSymbolicLink(), own.existsSync(at("broken"))]).toEqual([true, false]);
  expect(own.existsSync("a\0b")).toBe(false);
  expect(() => own.statSync("a\0b")).toThrow("NUL");
});

test("a long path is too long, and one after it is not mistaken for it", () => {
  node.writeFileSync(at("ä…𝒳"), "four");
  const long = `/${"ä".repeat(3000)}`;
  const deep = `/${"./".repeat(3000)}`;
  for (const path of [long, deep]) expect(failure(() => own.statSync(path))?.code).toBe("ENAMETOOLONG");
  expect(own.statSync(at("ä…𝒳"))?.size).toBe(4);
  expect(own.statSync(at("ä"))).toBeUndefined();
});

test("what was found is kept when something else is looked at", () => {
  node.writeFileSync(at("kept"), "1234567");
  const kept = own.statSync(at("kept"));
  expect(own.statSync("/")?.isDirectory()).toBe(true);
  expect([kept?.size, kept?.isFile()]).toEqual([7, true]);
});

test("failures look like those of node:fs", () => {
  node.writeFileSync(at("file"), "");
  node.mkdirSync(at("full/in"), { recursive: true });
  const { O_RDONLY, O_WRONLY, O_CREAT, O_EXCL } = own.constants;
  const pairs: readonly [() => unknown, () => unknown][] = [
    [() => own.openSync(at("no"), O_RDONLY), () => node.openSync(at("no"), O_RDONLY)],
    [
      () => own.openSync(at("file"), O_WRONLY | O_CREAT | O_EXCL),
      () => node.openSync(at("file"), O_WRONLY | O_CREAT | O_EXCL),
    ],
    [() => own.readTextSync(at("full")), () => node.readSync(node.openSync(at("full"), O_RDONLY), Buffer.alloc(8))],
    [() => own.unlinkSync(at("no")), () => node.unlinkSync(at("no"))],
    [() => own.rmdirSync(at("full")), () => node.rmdirSync(at("full"))],
    [() => own.readdirSync(at("no")), () => node.readdirSync(at("no"))],
    [() => own.readdirSync(at("file")), () => node.readdirSync(at("file"))],
    [() => own.readlinkSync(at("file")), () => node.readlinkSync(at("file"))],
    [() => own.statfsSync(at("no")), () => node.statfsSync(at("no"))],
    [() => own.accessSync(at("no"), own.constants.R_OK), () => node.accessSync(at("no"), node.constants.R_OK)],
    [
      () => own.mkdirSync(at("file/x"), { recursive: true, mode: 0o700 }),
      () => node.mkdirSync(at("file/x"), { recursive: true, mode: 0o700 }),
    ],
    [() => own.fstatSync(-1), () => null],
  ];
  for (const [mine, theirs] of pairs) {
    const [own_, node_] = [failure(mine), failure(theirs)];
    expect(own_).not.toBeNull();
    if (node_ === null) continue;
    expect([own_?.code, own_?.errno]).toEqual([node_.code, node_.errno]);
  }
  expect(failure(() => own.openSync(at("no"), O_RDONLY))).toEqual(failure(() => node.openSync(at("no"), O_RDONLY)));
});

test("files are made, written, read, cut and renamed", () => {
  const { O_RDWR, O_CREAT, O_EXCL } = own.constants;
  const fd = own.openSync(at("new"), O_RDWR | O_CREAT | O_EXCL, 0o600);
  own.writeTextSync(fd, "größer als ASCII");
  expect(own.writeSync(fd, new Uint8Array([33]))).toBe(1);
  expect(new TextDecoder().decode(own.readAtSync(fd, 0, 4))).toBe("grö");
  expect(own.readAtSync(fd, 1000, 5)).toEqual(new Uint8Array());
  expect(own.readAtSync(fd, 0, 0)).toEqual(new Uint8Array());
  // Not handed on to programs that are started.
  expect(node.readFileSync(`/proc/self/fdinfo/${fd}`, "utf8")).toMatch(/flags:\s+02[0-9]+2$/m);
  expect(own.readTextSync(at("new"))).toBe("größer als ASCII!");
  own.ftruncateSync(fd, 4);
  own.closeSync(fd);
  own.renameSync(at("new"), at("renamed"));
  expect([own.existsSync(at("new")), own.readTextSync(at("renamed"))]).toEqual([false, "grö"]);
  expect(node.statSync(at("renamed")).mode & 0o777).toBe(0o600);
  own.unlinkSync(at("renamed"));
  expect(own.existsSync(at("renamed"))).toBe(false);
});

test("text of any length is read, wherever its characters fall", () => {
  const text = "aß𝄞".repeat(20_000);
  node.writeFileSync(at("long"), text);
  expect(own.readTextSync(at("long"))).toBe(text);
  expect(own.readTextSync("/proc/self/cmdline")).toBe(node.readFileSync("/proc/self/cmdline", "utf8"));
});

test("directories are made with those above them, listed and removed", () => {
  own.mkdirSync(at("a/b/c"), { recursive: true, mode: 0o700 });
  own.mkdirSync(at("a/b/c"), { recursive: true, mode: 0o755 });
  expect(node.statSync(at("a/b/c")).mode & 0o777).toBe(0o700);
  const names = Array.from({ length: 600 }, (_, index) => `${"an entry with a longer name ".repeat(3)}${index}`);
  for (const name of names) node.writeFileSync(at(`a/b/c/${name}`), "");
  expect(own.readdirSync(at("a/b/c")).sort()).toEqual(names.sort());
  expect(own.readdirSync(at("a/b"))).toEqual(["c"]);
  for (const name of names) own.unlinkSync(at(`a/b/c/${name}`));
  own.rmdirSync(at("a/b/c"));
  expect(own.readdirSync(at("a/b"))).toEqual([]);
});

test("links and file systems are named", () => {
  node.symlinkSync("/proc/self/fd", at("link"));
  expect(own.readlinkSync(at("link"))).toBe("/proc/self/fd");
  for (const path of ["/proc", "/sys", at("")]) expect(own.statfsSync(path).type).toBe(node.statfsSync(path).type);
});

test("it holds what usual commands need, and nothing else: code that runs rarely fetches node:fs", () => {
  expect(Object.keys(own).toSorted()).toEqual([
    ...["accessSync", "closeSync", "constants", "existsSync", "fstatSync", "fsyncSync", "ftruncateSync", "lstatSync"],
    ...[
      "mkdirSync",
      "openSync",
      "readAtSync",
      "readTextSync",
      "readdirSync",
      "readlinkSync",
      "renameSync",
      "rmdirSync",
      "statSync",
    ],
    ...["statfsSync", "touchSync", "unlinkSync", "writeSync", "writeTextSync"],
  ]);
});
