import { describe, expect, test } from "bun:test";
import * as fs from "node:fs";
import { openFiles } from "../../../src/files/open-files.ts";
import { failureOf } from "../../expect/failure.ts";
import { temporaryDirectory } from "../../labs/temporary-directory.ts";

const directory = temporaryDirectory();
const files = () => openFiles(directory.path("state"));
const random = (size: number) => crypto.getRandomValues(new Uint8Array(size));

test("an object is read whole, up to the limit", () => {
  const path = directory.path("x.o");
  const bytes = random(5_000);
  fs.writeFileSync(path, bytes);
  expect(files().readObject(path, 5_000)).toEqual(bytes);
  const error = failureOf(() => files().readObject(path, 4_999));
  expect(error.code).toBe("FILE_UNREADABLE");
  expect(error.message).toBe(`read "${path}": it has 5000 bytes; at most 4999 are read`);
  fs.writeFileSync(path, "");
  expect(files().readObject(path, 10)).toEqual(new Uint8Array(0));
});

test("a missing file is not found, whether a directory or a file is in the way", () => {
  fs.writeFileSync(directory.path("file"), "");
  for (const name of ["missing", "missing/x", "file/x"]) {
    const error = failureOf(() => files().readObject(directory.path(name), 10));
    expect([error.code, error.message]).toEqual([
      "FILE_NOT_FOUND",
      `read "${directory.path(name)}": the file does not exist`,
    ]);
    expect(files().openBinary(directory.path(name), null)).toBeNull();
  }
});

test("for a missing file, the error says where the path ends and what is similar", () => {
  fs.writeFileSync(directory.path("life.bpf.o"), "");
  const hintFor = (name: string) => failureOf(() => files().readObject(directory.path(name), 10)).hint;
  expect(hintFor("lief.bpf.o")).toBe('did you mean "life.bpf.o"?');
  expect(hintFor("nothing-like-it")).toContain("a relative one starts at the current directory");
  expect(hintFor("no/such/file.o")).toBe(`there is no directory "${directory.path("no")}"`);
  expect(failureOf(() => files().listDirectory(directory.path("projcet"))).message).toContain(
    "there is no such directory",
  );
});

test("directories, FIFOs, devices and sockets are rejected at once", () => {
  fs.mkdirSync(directory.path("directory"));
  Bun.spawnSync(["mkfifo", directory.path("fifo")]);
  for (const [path, reason] of [
    [directory.path("directory"), "it is a directory"],
    [directory.path("fifo"), "it is not a regular file"],
    ["/dev/zero", "it is not a regular file"],
    ["/dev/null", "it is not a regular file"],
  ] as const) {
    for (const open of [() => files().readObject(path, 10), () => files().openBinary(path, null)]) {
      const error = failureOf(open);
      expect([error.code, error.message]).toEqual(["FILE_UNREADABLE", `read "${path}": ${reason}`]);
    }
  }
});

test("a report replaces a regular file at once; anything else stays, and the error says what to give", () => {
  const [file, victim, link] = ["report", "victim", "report-link"].map((name) => directory.path(name)) as [
    string,
    string,
    string,
  ];
  for (const text of ["one", "two"]) {
    files().saveText(file, text);
    expect(fs.readFileSync(file, "utf8")).toBe(text);
  }
  fs.writeFileSync(victim, "kept");
  fs.symlinkSync(victim, link);
  fs.symlinkSync("/proc/self/fd/1", directory.path("stdout"));
  fs.mkdirSync(directory.path("reports"));
  const before = fs.readdirSync(directory.path("")).sort();
  for (const [path, reason, hint] of [
    [link, "it is a symbolic link", "the file itself"],
    [directory.path("stdout"), "it is a symbolic link", "the file itself"],
    [directory.path("reports"), "it is a directory", "the path of a file"],
    ["/dev/full", "it is not a regular file", "a regular file, or of a new one"],
    [directory.path("nowhere/report"), "ENOENT: no such file or directory", "its directory does not exist"],
    [`${file}/report`, "part of the path is not a directory", ""],
    [directory.path("x".repeat(255)), "ENAMETOOLONG: name too long", ""],
  ] as const) {
    const error = failureOf(() => files().saveText(path, "text"));
    expect([error.code, error.message]).toEqual(["IO_FAILED", `write "${path}": ${reason}`]);
    expect(error.hint).toContain(hint);
  }
  expect(fs.readdirSync(directory.path("")).sort()).toEqual(before);
  expect([fs.readFileSync(victim, "utf8"), fs.readlinkSync(link)]).toEqual(["kept", victim]);
});

test("a directory is written as a whole: what fails leaves nothing, and one that is there stays", () => {
  const disk = files();
  const wrong = new Map([
    ["objects/a.o", "a"],
    [`objects/${"x".repeat(255)}`, "b"],
    ["document", "c"],
  ]);
  const [made, there] = [directory.path("bundle"), directory.path("empty")];
  fs.mkdirSync(there);
  for (const path of [made, there]) {
    expect(failureOf(() => disk.saveDirectory(path, wrong)).message).toContain("ENAMETOOLONG");
  }
  expect([fs.existsSync(made), fs.readdirSync(there)]).toEqual([false, []]);
  disk.saveDirectory(
    there,
    new Map([
      ["objects/a.o", "a"],
      ["document", "c"],
    ]),
  );
  expect(fs.readdirSync(there).sort()).toEqual(["document", "objects"]);
  expect(failureOf(() => disk.saveDirectory(there, new Map())).message).toContain("it is not empty");
});

test("a symbolic link is followed, one that forms a loop is rejected", () => {
  fs.writeFileSync(directory.path("real"), "abc");
  fs.symlinkSync("real", directory.path("link"));
  expect(files().readObject(directory.path("link"), 10)).toEqual(new Uint8Array([97, 98, 99]));
  fs.symlinkSync("circle", directory.path("circle"));
  const error = failureOf(() => files().readObject(directory.path("circle"), 10));
  expect([error.code, error.sys?.name]).toEqual(["FILE_UNREADABLE", "ELOOP"]);
});

test("a file that hides its size is rejected", () => {
  const error = failureOf(() => files().readObject("/proc/self/status", 1_000_000));
  expect([error.code, error.message]).toEqual([
    "FILE_UNREADABLE",
    'read "/proc/self/status": its size changed while it was read',
  ]);
});

test("a binary is read at any place, and short at its end", () => {
  const path = directory.path("binary");
  const bytes = random(3_000);
  fs.writeFileSync(path, bytes);
  const source = files().openBinary(path, null);
  if (source === null) throw new Error("not opened");
  expect(source.size).toBe(3_000);
  expect(source.read(0, 3_000)).toEqual(bytes);
  expect(source.read(1_234, 10)).toEqual(bytes.subarray(1_234, 1_244));
  expect(source.read(2_995, 100)).toEqual(bytes.subarray(2_995));
  expect(source.read(3_000, 1)).toHaveLength(0);
  expect(source.read(9_999_999, 1)).toHaveLength(0);
  // A length out of a hostile file costs no memory.
  expect(source.read(0, Number.MAX_SAFE_INTEGER)).toEqual(bytes);
  source.close();
  expect(() => source.read(0, 1)).toThrow(expect.objectContaining({ code: "FILE_UNREADABLE" }));
});

test("a place beyond 4 GiB is reached", () => {
  const path = directory.path("sparse");
  const fd = fs.openSync(path, "w");
  fs.writeSync(fd, new Uint8Array([1, 2, 3]), 0, 3, 5 * 2 ** 30);
  fs.closeSync(fd);
  const source = files().openBinary(path, null);
  expect(source?.read(5 * 2 ** 30, 100)).toEqual(new Uint8Array([1, 2, 3]));
  source?.close();
});

describe("bytecode", () => {
  const store = (name: string) => directory.path(`state/bytecode/sha256/${name}`);
  const [one, other] = ["0f".repeat(32), "a1".repeat(32)];

  test("is saved once, whole, for its owner alone, and removed again", () => {
    const port = files();
    const path = port.bytecodePath(one);
    expect(path).toBe(store(one));
    expect([port.bytecodeExists(path), port.storedBytecode()]).toEqual([false, []]);
    port.removeBytecode(path);
    const bytes = random(100_000);
    port.saveBytecode(path, bytes);
    const { ino } = fs.statSync(path);
    port.saveBytecode(path, bytes);
    expect(fs.statSync(path).ino).toBe(ino);
    expect(new Uint8Array(fs.readFileSync(path))).toEqual(bytes);
    expect(fs.statSync(path).mode & 0o777).toBe(0o600);
    expect(fs.statSync(store("")).mode & 0o777).toBe(0o700);
    port.saveBytecode(port.bytecodePath(other), new Uint8Array([1]));
    fs.writeFileSync(store("notes"), "somebody's");
    expect(port.storedBytecode().sort()).toEqual([one, other]);
    port.removeBytecode(path);
    expect(fs.readdirSync(store("")).sort()).toEqual([other, "notes"].sort());
  });

  test("that was damaged, or is a link to another file, is written again", () => {
    const port = files();
    const bytes = random(1000);
    port.saveBytecode(store(one), bytes);
    fs.writeFileSync(store(one), new Uint8Array(1000));
    port.saveBytecode(store(one), bytes);
    expect(new Uint8Array(fs.readFileSync(store(one)))).toEqual(bytes);
    fs.writeFileSync(directory.path("mine"), "mine");
    fs.rmSync(store(one));
    fs.symlinkSync(directory.path("mine"), store(one));
    port.saveBytecode(store(one), bytes);
    expect(fs.lstatSync(store(one)).isFile()).toBe(true);
    expect(fs.readFileSync(directory.path("mine"), "utf8")).toBe("mine");
  });

  test("that a dead process began to save does not count as saved, and is no obstacle", () => {
    const port = files();
    fs.mkdirSync(store(""), { recursive: true });
    fs.writeFileSync(store(`${one}.new`), "half");
    expect([port.bytecodeExists(store(one)), port.storedBytecode()]).toEqual([false, []]);
    port.saveBytecode(store(one), new Uint8Array([1, 2, 3]));
    expect(fs.readdirSync(store(""))).toEqual([one]);
    fs.writeFileSync(store(`${one}.new`), "half");
    port.removeBytecode(store(one));
    expect(fs.readdirSync(store(""))).toEqual([]);
  });

  test("whatever stands in its place is removed, and nothing that it leads to", () => {
    const port = files();
    fs.mkdirSync(store(`${one}/deep`), { recursive: true });
    fs.writeFileSync(directory.path("mine"), "mine");
    fs.symlinkSync(directory.path("mine"), store(other));
    for (const digest of [one, other]) port.removeBytecode(store(digest));
    expect(fs.readdirSync(store(""))).toEqual([]);
    expect(fs.readFileSync(directory.path("mine"), "utf8")).toBe("mine");
  });

  test("of an earlier version, in the runtime directory, is removed with its directory", () => {
    const port = files();
    const old = (id: number) => directory.path(`run/programs/${id}/bytecode.o`);
    for (const id of [7, 8]) {
      fs.mkdirSync(directory.path(`run/programs/${id}`), { recursive: true });
      fs.writeFileSync(old(id), "");
    }
    port.removeBytecode(old(7));
    expect(fs.readdirSync(directory.path("run/programs"))).toEqual(["8"]);
    port.removeBytecode(old(8));
    expect(fs.readdirSync(directory.path("run"))).toEqual([]);
  });

  test("that cannot be saved says why", () => {
    fs.writeFileSync(directory.path("state"), "");
    const error = failureOf(() => files().saveBytecode(store(one), new Uint8Array(1)));
    expect([error.code, error.sys?.name]).toEqual(["IO_FAILED", "ENOTDIR"]);
    expect(error.message).toStartWith(`save "${store(one)}": `);
  });

  test("that could not be saved leaves nothing, and what was saved before", () => {
    const port = files();
    fs.mkdirSync(store(`${one}.new`), { recursive: true });
    expect(failureOf(() => port.saveBytecode(store(one), new Uint8Array(9))).sys?.name).toBe("EISDIR");
    // Not ours: a directory in the place of the file that is being written.
    expect(fs.readdirSync(store(""))).toEqual([`${one}.new`]);
    fs.mkdirSync(store(`${other}/full`), { recursive: true });
    expect(failureOf(() => port.saveBytecode(store(other), new Uint8Array(9))).code).toBe("IO_FAILED");
    expect(fs.readdirSync(store("")).sort()).toEqual([`${one}.new`, other]);
  });
});

test("paths become absolute", () => {
  expect(files().absolute("a/../b")).toBe(`${process.cwd()}/b`);
  expect(files().absolute("/x//y/")).toBe("/x/y");
});

test("a directory lists its files, links among them, and no directories", () => {
  fs.mkdirSync(directory.path("list/inner"), { recursive: true });
  fs.writeFileSync(directory.path("list/b.o"), "");
  fs.symlinkSync("b.o", directory.path("list/a.o"));
  expect(files().listDirectory(directory.path("list")).sort()).toEqual(["a.o", "b.o"]);
  const absent = failureOf(() => files().listDirectory(directory.path("absent")));
  expect(absent).toMatchObject({ code: "FILE_NOT_FOUND", details: { path: directory.path("absent") } });
  const file = failureOf(() => files().listDirectory(directory.path("list/b.o")));
  expect(file).toMatchObject({ code: "FILE_UNREADABLE", message: expect.stringContaining("it is not a directory") });
});

test("processes are there or not", () => {
  const port = files();
  expect([process.pid, 1].map(port.processExists)).toEqual([true, true]);
  expect([0, -1, 4_194_305, 1.5, Number.NaN].map(port.processExists)).toEqual([false, false, false, false, false]);
  // The host's table of processes, where there is one at /host/proc, comes first: test/e2e/containers.test.ts has one.
  expect(port.containerProcess(process.pid)).toEndWith(`/proc/${process.pid}`);
  expect([0, -1, 4_194_305].map(port.containerProcess)).toEqual([null, null, null]);
});

test("this process has its own executable mapped, a missing one nothing", () => {
  const mapped = files().mappedFiles(`/proc/${process.pid}`);
  const own = mapped.find(({ path }) => path === fs.realpathSync(process.execPath));
  expect(fs.statSync(own?.handle ?? "/").ino).toBe(fs.statSync(process.execPath).ino);
  expect(files().mappedFiles("/proc/4194305")).toEqual([]);
});

test("the linker's cache of a root is found, a missing one is empty", () => {
  const libc = [...files().linkerCache(null)].find(([soname]) => soname.startsWith("libc.so."));
  expect(fs.existsSync(libc?.[1] ?? "")).toBe(true);
  expect(files().linkerCache(directory.path("empty-root")).size).toBe(0);
  fs.mkdirSync(directory.path("root/etc"), { recursive: true });
  fs.copyFileSync("/etc/ld.so.cache", directory.path("root/etc/ld.so.cache"));
  expect(files().linkerCache(directory.path("root"))).toEqual(files().linkerCache(null));
  fs.writeFileSync(directory.path("root/etc/ld.so.cache"), "nonsense");
  expect(files().linkerCache(directory.path("root")).size).toBe(0);
});
