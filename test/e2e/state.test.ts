/** The state of a command: whose it is, whether it is all there, and what a full disk leaves of it. */
import { describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { resolve } from "node:path";
import { buildBpf } from "../../scripts/build-bpf.ts";
import type { LoadAnswer, MapStatusAnswer } from "../../src/domain/answer.ts";
import type { ErrorCode } from "../../src/errors/codes.ts";
import { executable, idOf } from "../labs/executable.ts";
import { RpcProcess } from "../labs/rpc-process.ts";
import { inKernel } from "../labs/kernel-lab.ts";

buildBpf();
const OBJECT = resolve(import.meta.dir, "../../dist/bpf/fixtures/life.bpf.o");
const PROGRAMS = ["--programs", "tracepoint:on_openat"];
const LOAD = ["load", "file", "--path", OBJECT, ...PROGRAMS];
const NOTHING_TO_DO = ["detach", "--ignore-missing", "4711"];
const bpfman = executable();
const state = (name = "") => `${bpfman.runtimeDir}/state${name}`;
const SIDE_FILES = ["/bpfman.db", "/bpfman.db-wal", "/bpfman.db-shm"];

const contentOf = (directory: string) =>
  Object.fromEntries(
    readdirSync(directory)
      .sort()
      .filter((name) => name !== "bytecode")
      .map((name) => [name, Bun.hash(readFileSync(`${directory}/${name}`))]),
  );

/** What reads and what writes refuses once `spoil` is done, also in sessions; the files stay byte for byte. */
async function refusedByAll(code: ErrorCode, named: string, spoil: () => void): Promise<void> {
  const session = new RpcProcess(bpfman.command("rpc"));
  await session.initialize();
  expect((await session.call("program/list", {})).error).toBeUndefined();
  // Damage within a clock tick of the last access is not seen (docs/decisions.md).
  await Bun.sleep(50);
  spoil();
  const before = contentOf(state());
  for (const words of [["list", "programs"], ["list", "links"], LOAD, ["unload", "1"]]) {
    const failure = await bpfman.refused(5, code, ...words);
    expect(failure.message).toContain(`"${named}"`);
    expect(failure.hint).toBeTruthy();
  }
  expect(await codeOf(session, "program/list", {})).toBe(code);
  expect(await codeOf(session, "program/unload", { programId: 1 })).toBe(code);
  await session.close();
  const late = new RpcProcess(bpfman.command("rpc"));
  expect(await codeOf(late, "initialize", { protocolVersion: 1 })).toBe(code);
  await late.close();
  expect(contentOf(state())).toEqual(before);
}

const codeOf = async (session: RpcProcess, method: string, params: object): Promise<string | undefined> =>
  (await session.call(method, params)).error?.data?.code;

describe("what belongs to another user, or can be written to by others", () => {
  test.each(["", ...SIDE_FILES])("state%s", async (name) => {
    await bpfman.load(OBJECT, ...PROGRAMS);
    const { mode } = statSync(state(name));
    await refusedByAll("DATABASE_UNUSABLE", state(name), () => chownSync(state(name), 1234, 1234));
    chownSync(state(name), 0, 0);
    await refusedByAll("DATABASE_UNUSABLE", state(name), () => chmodSync(state(name), mode | 0o066));
    chmodSync(state(name), mode);
  });

  test("the runtime directory, in which nothing is made", async () => {
    chownSync(bpfman.runtimeDir, 1234, 1234);
    for (const words of [LOAD, ["list", "programs"]]) await bpfman.refused(5, "STATE_CONFLICT", ...words);
    expect(readdirSync(bpfman.runtimeDir)).toEqual([]);
    chownSync(bpfman.runtimeDir, 0, 0);
  });

  test("the lock file", async () => {
    writeFileSync(`${bpfman.runtimeDir}/lock`, "theirs");
    chownSync(`${bpfman.runtimeDir}/lock`, 1234, 1234);
    const failure = await bpfman.refused(5, "STATE_CONFLICT", ...LOAD);
    expect(failure.hint).toContain(`chown root "${bpfman.runtimeDir}/lock"`);
    expect(readFileSync(`${bpfman.runtimeDir}/lock`, "utf8")).toBe("theirs");
  });

  test("the configuration", async () => {
    writeFileSync(bpfman.path("bpfman.toml"), "[signing]\nallow_unsigned = true\n");
    chownSync(bpfman.path("bpfman.toml"), 1234, 1234);
    const failure = await bpfman.refused(
      1,
      "FILE_UNREADABLE",
      "list",
      "programs",
      "--config",
      bpfman.path("bpfman.toml"),
    );
    expect(failure.message).toContain("it belongs to user 1234");
  });
});

describe("a database of which a part is lost", () => {
  const DAMAGES: readonly (readonly [string, () => void])[] = [
    ["the database is missing", () => rmSync(state("/bpfman.db"))],
    ["the database is empty", () => truncateSync(state("/bpfman.db"))],
    ["the log is missing", () => rmSync(state("/bpfman.db-wal"))],
    ["the log is empty", () => truncateSync(state("/bpfman.db-wal"))],
    [
      "the log is damaged",
      () => {
        const bytes = readFileSync(state("/bpfman.db-wal"));
        bytes[5000] = (bytes[5000] as number) ^ 1;
        writeFileSync(state("/bpfman.db-wal"), bytes);
      },
    ],
  ];
  test.each(DAMAGES)("%s: it is refused, and what runs goes on", async (_what, damage) => {
    const [program] = await bpfman.load(OBJECT, ...PROGRAMS);
    const id = program?.record?.program_id ?? 0;
    const kept = SIDE_FILES.map((name) => [state(name), readFileSync(state(name))] as const);
    await refusedByAll("STATE_LOST", state("/bpfman.db"), damage);
    expect(inKernel("prog", id)).toBe(true);
    for (const [path, bytes] of kept) writeFileSync(path, bytes, { mode: 0o600 });
    expect((await bpfman.programs()).map((each) => each.program_id)).toEqual([id]);
  });

  test("a map is read by its ID all the same, but not by its name", async () => {
    const [program] = await bpfman.load(resolve(OBJECT, "../map_values.bpf.o"), "--programs", "xdp:use_all");
    const name = `${program?.record?.program_id}/totals`;
    const { id } = await bpfman.json<MapStatusAnswer>("map", "get", name);
    await bpfman.ok("map", "update", name, "3", "18446744073709551615");
    const kept = readFileSync(state("/bpfman.db"));
    truncateSync(state("/bpfman.db"));
    expect(await bpfman.ok("map", "lookup", String(id), "3")).toBe("18446744073709551615\n");
    expect(await bpfman.ok("map", "dump", String(id))).toContain('{"key":3,"value":18446744073709551615}\n');
    for (const words of [
      ["lookup", name, "3"],
      ["lookup", "4294967295", "3"],
      ["update", String(id), "3", "0"],
    ]) {
      await bpfman.refused(5, "STATE_LOST", "map", ...words);
    }
    writeFileSync(state("/bpfman.db"), kept);
    expect(await bpfman.ok("map", "lookup", name, "3")).toBe("18446744073709551615\n");
  });

  test("pins that no row names are told of by what reads and what writes, and stay", async () => {
    const programs = await bpfman.load(OBJECT, ...PROGRAMS);
    const id = idOf(programs, "on_openat");
    const kept = SIDE_FILES.map((name) => [state(name), readFileSync(state(name))] as const);
    bpfman.database(() => {});
    const { Database } = await import("bun:sqlite");
    const database = new Database(state("/bpfman.db"));
    database.run("DELETE FROM programs");
    database.close();
    for (const words of [["list", "programs"], NOTHING_TO_DO]) {
      const { code, error } = await bpfman.run(...words);
      expect(code).toBe(0);
      expect(error).toContain(`pins that the database does not record: ${bpfman.runtimeDir}/fs/prog_${id};`);
    }
    expect(inKernel("prog", id)).toBe(true);
    expect(existsSync(bpfman.copyOf(OBJECT))).toBe(true);
    for (const name of SIDE_FILES) rmSync(state(name), { force: true });
    for (const [path, bytes] of kept) writeFileSync(path, bytes, { mode: 0o600 });
  });
});

describe("a full disk", () => {
  test("has no room for the lock's pid, and what runs is detached and unloaded all the same", async () => {
    const mounted = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=2m,mode=0750", "tmpfs", bpfman.runtimeDir]);
    expect(mounted.stderr.toString()).toBe("");
    const elsewhere = ["--state-dir", bpfman.path("state")];
    const { programs } = await bpfman.json<LoadAnswer>(...elsewhere, ...LOAD);
    const id = idOf(programs, "on_openat");
    await bpfman.ok(...[...elsewhere, "attach", String(id), "tracepoint", "--tracepoint", "syscalls/sys_enter_openat"]);
    Bun.spawnSync(["dd", "if=/dev/zero", `of=${bpfman.runtimeDir}/filler`, "bs=4096"], { stderr: "ignore" });
    expect(statfsSync(bpfman.runtimeDir).bfree).toBe(0);
    await bpfman.ok(...elsewhere, "unload", String(id));
    expect(inKernel("prog", id)).toBe(false);
    rmSync(`${bpfman.runtimeDir}/filler`);
  });

  test("has no room for the database either, and what runs is detached and unloaded; nothing new is made", async () => {
    // One file system for both, which is unmounted at the end of the test.
    const mounted = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=6m,mode=0750", "tmpfs", bpfman.runtimeDir]);
    expect(mounted.stderr.toString()).toBe("");
    const ids: number[] = [];
    for (let round = 0; round < 4; round++) {
      const { programs } = await bpfman.json<LoadAnswer>(...LOAD);
      ids.push(idOf(programs, "on_openat"));
    }
    const [first = 0, second = 0, ...rest] = ids.map(String);
    const attach = (id: string | number) => ["attach", String(id), "tracepoint", "--tracepoint"];
    await bpfman.ok(...attach(first), "syscalls/sys_enter_openat");
    await bpfman.ok(...attach(second), "syscalls/sys_enter_openat");
    const fill = (name: string) =>
      Bun.spawnSync(["dd", "if=/dev/zero", `of=${bpfman.runtimeDir}/${name}`, "bs=4096"], { stderr: "ignore" });
    fill("filler");
    expect((await bpfman.run(...attach(second), "syscalls/sys_exit_openat")).error).toContain("disk is full");
    await bpfman.ok("unload", String(first));
    await bpfman.ok("detach", "2");
    for (const id of [second, ...rest]) {
      fill(`filler-of-${id}`);
      await bpfman.ok("unload", String(id));
    }
    for (const id of ids) expect(inKernel("prog", id)).toBe(false);
    for (const name of readdirSync(bpfman.runtimeDir)) {
      if (name.startsWith("filler")) rmSync(`${bpfman.runtimeDir}/${name}`);
    }
    const { programs } = await bpfman.json<LoadAnswer>(...LOAD);
    await bpfman.ok("unload", String(idOf(programs, "on_openat")));
  });

  test("a load that cannot save its bytecode leaves nothing, and no later one", async () => {
    const size = statSync(OBJECT).size;
    await bpfman.begin();
    const copies = state("/bytecode/sha256");
    const mounted = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs", copies]);
    expect(mounted.stderr.toString()).toBe("");
    // All but a page: the file is made, and cannot be written.
    const filler = `${copies}/filler`;
    Bun.spawnSync(["dd", "if=/dev/zero", `of=${filler}`, "bs=4096"], { stderr: "ignore" });
    truncateSync(filler, statSync(filler).size - Math.min(4096, size));
    const failure = await bpfman.refused(1, "IO_FAILED", ...LOAD);
    expect(failure.message).toMatch(/^save ".*\/bytecode\/sha256\/[0-9a-f]{64}": .*ENOSPC/);
    expect(readdirSync(copies)).toEqual(["filler"]);
    expect(failure.details).not.toHaveProperty("left");
    rmSync(filler);
    mkdirSync(`${bpfman.runtimeDir}/fs/xdp/dispatcher_1_1_1`);
    await bpfman.ok(...NOTHING_TO_DO);
    expect(readdirSync(`${bpfman.runtimeDir}/fs/xdp`)).toEqual([]);
  });
});
