/** The database on a read-only file system, and on a full one. */
import { expect, test } from "bun:test";
import * as fs from "node:fs";
import { programId } from "../../src/domain/ids.ts";
import { RESERVE_BYTES } from "../../src/domain/limits.ts";
import { openStore } from "../../src/store/open-store.ts";
import { failureOf } from "../expect/failure.ts";
import { programRecordOf } from "../fakes/records.ts";
import { temporaryDirectory } from "../labs/temporary-directory.ts";

const isRoot = process.geteuid?.() === 0;
const directory = temporaryDirectory((path) => {
  if (isRoot) Bun.spawnSync(["umount", `${path}/state`]);
});
const open = (mode: "read" | "write") =>
  openStore({ path: directory.path("state/odd name?#%41.db"), mode, bootId: "boot-1" });
const mount = (...words: string[]) => {
  const result = Bun.spawnSync(["mount", ...words], { stderr: "pipe" });
  if (result.exitCode !== 0) throw new Error(`mount ${words.join(" ")}: ${result.stderr}`);
};
for (const sideFiles of [true, false]) {
  test.skipIf(!isRoot)(`a read-only file system is read ${sideFiles ? "with" : "without"} the WAL's files`, () => {
    fs.mkdirSync(directory.path("state"));
    mount("-t", "tmpfs", "-o", "mode=0700,size=4m", "tmpfs", directory.path("state"));
    const writer = open("write");
    writer.insertProgram(programRecordOf(5), "ready");
    writer.close();
    if (!sideFiles) {
      for (const name of fs.readdirSync(directory.path("state"))) {
        if (!name.endsWith(".db")) fs.rmSync(directory.path(`state/${name}`));
      }
    }
    mount("-o", "remount,ro", directory.path("state"));
    const reader = open("read");
    expect(reader.programs()).toStrictEqual([programRecordOf(5)]);
    reader.close();
    const error = failureOf(() => open("write"));
    expect([error.code, error.sys?.name]).toEqual(["DATABASE_UNUSABLE", "EROFS"]);
  });
}

test.skipIf(!isRoot)("a full disk is an error, and what was committed before stays", () => {
  fs.mkdirSync(directory.path("state"));
  mount("-t", "tmpfs", "-o", "mode=0700,size=1m", "tmpfs", directory.path("state"));
  const writer = open("write");
  let written = 0;
  const error = failureOf(() => {
    for (let id = 1; id <= 10_000; id++) {
      writer.insertProgram(programRecordOf(id, { license: "x".repeat(20_000) }), "ready");
      written = id;
    }
  });
  expect(error.code).toBe("IO_FAILED");
  expect(writer.programs()).toHaveLength(written);
  writer.close();
  const reader = open("read");
  expect(reader.programs()).toHaveLength(written);
  reader.close();
});

const RESERVE = "state/odd name?#%41.db-reserve";
/** Takes all the space there is. */
const fill = (): void =>
  void Bun.spawnSync(["dd", "if=/dev/zero", `of=${directory.path("state/filler")}`, "bs=4096"], { stderr: "ignore" });
/** A disk of that size without a free block, with the rows of so many programs. */
function fillDisk(size: string, programs: number): void {
  fs.mkdirSync(directory.path("state"));
  mount("-t", "tmpfs", "-o", `mode=0700,size=${size}`, "tmpfs", directory.path("state"));
  const first = open("write");
  for (let id = 1; id <= programs; id++) first.insertProgram(programRecordOf(id), "ready");
  first.close();
  fill();
  expect(fs.statfsSync(directory.path("state")).bavail).toBe(0);
}
const caller = { uid: 0, loginUid: null, sudoUid: null, parentPid: 1, parentCommand: null };
const ENDED = { operation: "program/unload", startedAt: new Date(0), durationMs: 1, caller, result: "ok", facts: {} };

test.skipIf(!isRoot)("a full disk has room for removals, again and again, and for nothing else", () => {
  const PROGRAMS = 150;
  fillDisk("4m", PROGRAMS);
  const other = open("write");
  const refused = failureOf(() => {
    for (let id = 1001; id <= 2000; id++) other.insertProgram(programRecordOf(id), "ready");
  });
  other.close();
  expect(refused).toMatchObject({ code: "IO_FAILED", details: { sqlite: "SQLITE_FULL" } });
  expect(refused.hint).toContain("detaching and unloading work meanwhile");
  for (let id = 1; id <= PROGRAMS; id++) {
    const store = open("write");
    store.makeRoom();
    store.setProgramState(programId(id), "removing");
    store.deleteProgram(programId(id));
    store.appendOperation(ENDED);
    store.close();
    // Others take what they can get.
    Bun.spawnSync(["dd", "if=/dev/zero", `of=${directory.path(`state/filler-${id}`)}`, "bs=4096"], {
      stderr: "ignore",
    });
  }
  const after = open("write");
  expect(after.programs().filter(({ id }) => id <= PROGRAMS)).toEqual([]);
  after.close();
  expect(fs.statSync(directory.path(RESERVE)).size).toBeGreaterThan(RESERVE_BYTES / 2);
  for (const name of fs.readdirSync(directory.path("state"))) {
    if (name.startsWith("filler")) fs.rmSync(directory.path(`state/${name}`));
  }
  open("write").close();
  expect(fs.statSync(directory.path(RESERVE)).size).toBe(RESERVE_BYTES);
});

test.skipIf(!isRoot)("a removal takes back for later ones what it was given, and leaves others the rest", () => {
  const state = directory.path("state");
  fillDisk("1m", 1);
  const kept = fs.statSync(directory.path(RESERVE)).size;
  const FREE_BYTES = 128 * 1024;
  fs.truncateSync(directory.path("state/filler"), fs.statSync(directory.path("state/filler")).size - FREE_BYTES);
  const store = open("write");
  store.makeRoom();
  store.deleteProgram(programId(1));
  store.appendOperation(ENDED);
  expect(fs.statSync(directory.path(RESERVE)).size).toBe(kept);
  const { bavail, bsize } = fs.statfsSync(state);
  expect(bavail * bsize).toBeGreaterThan(0);
  store.close();
});

test.skipIf(!isRoot).each(["600k", "1m", "2m"])("so has a disk of %s", (size) => {
  fillDisk(size, 3);
  for (let id = 1; id <= 3; id++) {
    const store = open("write");
    store.makeRoom();
    store.setProgramState(programId(id), "removing");
    store.deleteProgram(programId(id));
    store.appendOperation(ENDED);
    store.close();
  }
  const after = open("write");
  expect(after.programs()).toEqual([]);
  after.close();
});
