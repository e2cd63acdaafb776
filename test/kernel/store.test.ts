/** The database on a read-only file system. */
import { expect, test } from "bun:test";
import * as fs from "node:fs";
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
