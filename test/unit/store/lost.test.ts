/** Databases of which a part is missing or damaged: refused by readers and writers, and left as they are. */
import { constants, Database } from "bun:sqlite";
import { beforeEach, describe, expect, spyOn, test } from "bun:test";
import * as fs from "node:fs";
import * as files from "../../../ffi/safe/file-system.ts";
import { programId } from "../../../src/domain/ids.ts";
import { keepStore } from "../../../src/store/kept.ts";
import { openStore } from "../../../src/store/open-store.ts";
import { failureOf } from "../../expect/failure.ts";
import { temporaryDirectory } from "../../labs/temporary-directory.ts";

const directory = temporaryDirectory();
const path = (ending = "") => directory.path(`state/bpfman.db${ending}`);
let isLive = true;
const options = () => ({ path: path(), bootId: "boot-1", busyTimeoutMs: 1000, isLive: () => isLive });
const OPENERS = {
  reader: () => openStore({ ...options(), mode: "read" }),
  writer: () => openStore({ ...options(), mode: "write" }),
  session: () => keepStore(options()).read(),
};

/** Name and bytes of every file, the log's index among them. */
const content = () =>
  Object.fromEntries(
    fs
      .readdirSync(directory.path("state"))
      .sort()
      .map((name) => [name, Bun.hash(fs.readFileSync(directory.path(`state/${name}`)))]),
  );

/** As commands leave it, which end without closing the database: commits stand in the log alone. */
function useDatabase(): void {
  const script = `
    const { openStore } = await import("${process.cwd()}/src/store/open-store.ts");
    const { programRecordOf } = await import("${process.cwd()}/test/fakes/records.ts");
    const store = openStore({ path: "${path()}", mode: "write", bootId: "boot-1" });
    for (let id = 1; id <= 5; id++) store.insertProgram(programRecordOf(id), "ready");
    const caller = { uid: 0, loginUid: null, sudoUid: null, parentPid: 1, parentCommand: null };
    store.appendOperation({ operation: "x", startedAt: new Date(), durationMs: 1, caller, result: "ok", facts: {} });
    process.kill(process.pid, "SIGKILL");`;
  const { signalCode, stderr } = Bun.spawnSync([process.execPath, "-e", script]);
  expect([signalCode as string, stderr.toString()]).toEqual(["SIGKILL", ""]);
}

beforeEach(() => {
  isLive = true;
  useDatabase();
  // What is done to the files from here on is later than what the kernel's clock for files can tell apart.
  Bun.sleepSync(20);
});

const changeLog = (change: (bytes: Buffer) => void): void => {
  const bytes = fs.readFileSync(path("-wal"));
  change(bytes);
  fs.writeFileSync(path("-wal"), bytes);
};
const flip = (at: number) =>
  changeLog((bytes) => {
    bytes[at] = (bytes[at] as number) ^ 0x40;
  });
const clear = (at: number, length: number) => changeLog((bytes) => void bytes.fill(0, at, at + length));
const FRAME = 24 + 4096;
const frames = () => Math.floor((fs.statSync(path("-wal")).size - 32) / FRAME);

const DAMAGES: readonly (readonly [what: string, says: string, act: () => void])[] = [
  ["the database is missing", "it is missing, and its log", () => fs.rmSync(path())],
  ["the database is empty", "it is empty, and its log", () => fs.truncateSync(path())],
  [
    "database and log are missing",
    `it is missing, and "`,
    () => {
      fs.rmSync(path());
      fs.rmSync(path("-wal"));
    },
  ],
  ["the log is missing", "is missing", () => fs.rmSync(path("-wal"))],
  ["the log is empty", "is empty or damaged", () => fs.truncateSync(path("-wal"))],
  ["the log has no head", "is empty or damaged", () => clear(0, 32)],
  ["a byte of the log's head is wrong", "is empty or damaged", () => flip(17)],
  ["the log is cut off", "is damaged", () => fs.truncateSync(path("-wal"), fs.statSync(path("-wal")).size - FRAME)],
  ["one byte of the log's first page is wrong", "is damaged", () => flip(32 + 24 + 700)],
  ["one byte in the middle is wrong", "is damaged", () => flip(32 + FRAME * 3 + 2000)],
  ["one byte at the end is wrong", "is damaged", () => flip(32 + FRAME * frames() - 1)],
  ["a part of the log is zero", "is damaged", () => clear(32 + FRAME * 2, FRAME)],
];

describe.each(Object.entries(OPENERS))("%s", (_name, open) => {
  test.each(DAMAGES)("%s", (_what, says, damage) => {
    damage();
    const before = content();
    for (let time = 1; time <= 2; time++) {
      const error = failureOf(() => open().close());
      expect([error.code, error.message]).toEqual(["STATE_LOST", expect.stringContaining(says)]);
      expect(error.message).toStartWith(`open database "${path()}": `);
      expect(error.hint).toContain("bpfman repair");
      expect(content()).toEqual(before);
    }
  });

  test("what is whole is read", () => {
    const before = [fs.readFileSync(path()), fs.readFileSync(path("-wal"))];
    const store = open();
    expect(store.programs().map(({ id }) => Number(id))).toEqual([1, 2, 3, 4, 5]);
    store.close();
    if (open !== OPENERS.writer) expect([fs.readFileSync(path()), fs.readFileSync(path("-wal"))]).toEqual(before);
  });

  test("a log that was worked off and removed is no loss", () => {
    const other = new Database(path());
    other.run("PRAGMA wal_checkpoint(PASSIVE)");
    other.close();
    fs.rmSync(path("-wal"), { force: true });
    const store = open();
    expect(store.programs()).toHaveLength(5);
    store.close();
  });

  test("the same without the index, as after a backup", () => {
    const other = new Database(path());
    other.run("PRAGMA wal_checkpoint(TRUNCATE)");
    other.close();
    fs.rmSync(path("-wal"), { force: true });
    fs.rmSync(path("-shm"), { force: true });
    const store = open();
    expect(store.programs()).toHaveLength(5);
    store.close();
  });

  test("a damaged log is nothing to lose after a reboot, but one without its database is", () => {
    isLive = false;
    flip(32 + FRAME * frames() - 1);
    open().close();
    fs.rmSync(directory.path("state"), { recursive: true });
    useDatabase();
    fs.rmSync(path());
    expect(failureOf(() => open().close()).code).toBe("STATE_LOST");
  });
});

test("a session that keeps its connection notices as well", () => {
  const { read: open } = keepStore(options());
  open().close();
  for (const ending of ["-wal", ""]) {
    const bytes = fs.readFileSync(path(ending));
    fs.rmSync(path(ending));
    expect(failureOf(() => open().close()).code).toBe("STATE_LOST");
    fs.writeFileSync(path(ending), bytes, { mode: 0o600 });
    open().close();
  }
});

test("a log that its last writer empties while it is read is no loss", () => {
  const other = new Database(path());
  other.fileControl(constants.SQLITE_FCNTL_PERSIST_WAL, 1);
  other.run("PRAGMA wal_checkpoint(PASSIVE)");
  other.close();
  expect(frames()).toBeGreaterThan(0);
  // Between its head and its frames, its times are looked at.
  const { fstatSync } = files;
  const look = spyOn(files, "fstatSync").mockImplementation((fd) => {
    fs.truncateSync(path("-wal"));
    return fstatSync(fd);
  });
  try {
    const store = OPENERS.reader();
    expect(look).toHaveBeenCalledTimes(1);
    expect(store.programs()).toHaveLength(5);
    store.close();
  } finally {
    look.mockRestore();
  }
});

test("readers beside writers that commit, work off the log and begin it anew are never refused", async () => {
  const script = `
    const { openStore } = await import("${process.cwd()}/src/store/open-store.ts");
    const { programRecordOf } = await import("${process.cwd()}/test/fakes/records.ts");
    for (let round = 0; round < 12; round++) {
      const store = openStore({ path: "${path()}", mode: "write", bootId: "boot-1" });
      for (let each = 0; each < 10; each++) store.insertProgram(programRecordOf(process.pid * 1000 + round * 10 + each), "ready");
      store.close();
    }`;
  const writers = [1, 2].map(() => Bun.spawn([process.execPath, "-e", script], { stderr: "pipe" }));
  let reads = 0;
  let running = true;
  void Promise.all(writers.map((each) => each.exited)).then(() => {
    running = false;
  });
  while (running) {
    const store = OPENERS.reader();
    expect(store.program(programId(1))?.id).toBe(programId(1));
    store.close();
    reads++;
    await Bun.sleep(0);
  }
  expect(await Promise.all(writers.map((each) => each.stderr.text()))).toEqual(["", ""]);
  expect(reads).toBeGreaterThan(5);
  const store = OPENERS.reader();
  expect(store.programs()).toHaveLength(245);
  store.close();
});
