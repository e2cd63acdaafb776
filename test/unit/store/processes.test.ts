/** Several processes on one database, as when commands run concurrently or are killed. */
import { expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { programId } from "../../../src/domain/ids.ts";
import { openStore } from "../../../src/store/open-store.ts";
import { programRecordOf } from "../../fakes/records.ts";
import { temporaryDirectory } from "../../labs/temporary-directory.ts";

const directory = temporaryDirectory();
const PROGRAM = join(import.meta.dir, "../../labs/store-process.ts");
const start = (...work: string[]) =>
  Bun.spawn([process.execPath, PROGRAM, directory.path("state/bpfman.db"), ...work], {
    stdout: "pipe",
    stderr: "pipe",
  });
const open = (mode: "read" | "write") => openStore({ path: directory.path("state/bpfman.db"), mode, bootId: "boot-1" });

test("20 processes create the database and write at once: nothing is lost, no id is given twice", async () => {
  const PROCESSES = 20;
  const EACH = 5;
  const writers = Array.from({ length: PROCESSES }, () => start("count", String(EACH)));
  const ends = await Promise.all(
    writers.map(async (writer) => ({ exit: await writer.exited, said: await new Response(writer.stderr).text() })),
  );
  expect(ends).toEqual(Array.from({ length: PROCESSES }, () => ({ exit: 0, said: "" })));
  const store = open("read");
  expect(store.programs()).toHaveLength(PROCESSES * EACH);
  expect(store.links().map(({ id }) => Number(id))).toEqual(
    Array.from({ length: PROCESSES * EACH }, (_, index) => index + 1),
  );
  store.close();
});

test("a first writer waits for another process that is creating the database", async () => {
  const path = directory.path("state/bpfman.db");
  const work = `import { Database } from "bun:sqlite";
    const database = new Database(${JSON.stringify(path)});
    database.run("BEGIN IMMEDIATE");
    process.stdout.write("holding\\n");
    await Bun.stdin.text();
    Bun.sleepSync(300);
    database.run("ROLLBACK");`;
  mkdirSync(directory.path("state"), { mode: 0o700 });
  const holder = Bun.spawn([process.execPath, "-e", work], { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
  await holder.stdout.getReader().read();
  const impatient = { path, mode: "write", bootId: "boot-1", busyTimeoutMs: 20 } as const;
  expect(() => openStore(impatient)).toThrow(expect.objectContaining({ code: "LOCK_TIMEOUT" }));
  holder.stdin.end();
  open("write").close();
  expect(await holder.exited).toBe(0);
});

test("readers work while another process is in a transaction, and its death leaves nothing of it", async () => {
  const before = open("write");
  before.insertProgram(programRecordOf(5), "ready");
  before.close();
  const holder = start("hold");
  try {
    await holder.stdout.getReader().read();

    const reader = open("read");
    expect(reader.programs().map(({ id }) => Number(id))).toEqual([5]);
    reader.close();
    const impatient = { path: directory.path("state/bpfman.db"), bootId: "boot-1", busyTimeoutMs: 50 };
    const writer = openStore({ ...impatient, mode: "write" });
    expect(() => writer.setProgramState(programId(5), "removing")).toThrow(
      expect.objectContaining({ code: "LOCK_TIMEOUT" }),
    );
    writer.close();
  } finally {
    holder.kill("SIGKILL");
    await holder.exited;
  }
  for (const mode of ["read", "write"] as const) {
    const after = open(mode);
    expect(after.programs().map(({ id }) => Number(id))).toEqual([5]);
    after.close();
  }
  const after = open("write");
  after.insertProgram(programRecordOf(1000), "ready");
  after.close();
});

test("what was committed survives the process that is killed with the database open", async () => {
  const store = open("write");
  store.close();
  const writer = Bun.spawn(
    [
      process.execPath,
      "-e",
      `import { openStore } from ${JSON.stringify(join(import.meta.dir, "../../../src/store/open-store.ts"))};
       import { programRecordOf } from ${JSON.stringify(join(import.meta.dir, "../../fakes/records.ts"))};
       const store = openStore({ path: ${JSON.stringify(directory.path("state/bpfman.db"))}, mode: "write", bootId: "boot-1" });
       store.insertProgram(programRecordOf(5), "ready");
       process.kill(process.pid, "SIGKILL");`,
    ],
    { stdout: "ignore", stderr: "ignore" },
  );
  await writer.exited;
  expect(writer.signalCode).toBe("SIGKILL");
  const reader = open("read");
  expect(reader.programs()).toStrictEqual([programRecordOf(5)]);
  reader.close();
});
