/** uprobes and uretprobes with the executable, on a C program that makes exactly the requested number of calls. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { buildBpf } from "../../scripts/build-bpf.ts";
import type { LinkAnswer } from "../../src/domain/answer.ts";
import { executable, idOf, mapOf } from "../labs/executable.ts";
import { counters, inKernel, sh } from "../labs/kernel-lab.ts";

buildBpf();
const OBJECT = resolve(import.meta.dir, "../../dist/bpf/fixtures/life.bpf.o");
/** Slots of the map counters_of_life. */
const CALLS = 3;
const RETURNS = 4;

let folder = "";
let binary = "";
beforeAll(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "bpfman-uprobe-")));
  binary = join(folder, "target");
  sh("gcc", "-O1", "-o", binary, resolve(import.meta.dir, "../fixtures/uprobe_library.c"));
});
afterAll(() => rmSync(folder, { recursive: true }));

const bpfman = executable();

/** A running target; `call` makes it call the function so many times and waits for that. */
function startTarget() {
  const child = Bun.spawn([binary], { stdin: "pipe", stdout: "pipe" });
  const answers = child.stdout.getReader();
  return {
    pid: child.pid,
    async call(times: number) {
      child.stdin.write("x".repeat(times));
      await child.stdin.flush();
      for (let seen = 0; seen < times; ) seen += (await answers.read()).value?.length ?? 0;
    },
    async stop() {
      child.stdin.end();
      await child.exited;
    },
  };
}

/** Addresses of probed_function's instructions, from its start, as objdump sees them. */
function instructions(): { readonly fileOffset: number; readonly offsets: readonly number[] } {
  const listing = sh("objdump", "-d", "-F", "--disassemble=probed_function", "--no-show-raw-insn", binary);
  const head = /<probed_function> \(File Offset: (0x[0-9a-f]+)\):/.exec(listing);
  const addresses = [...listing.matchAll(/^\s+([0-9a-f]+):\t/gm)].map(([, hex = ""]) => Number.parseInt(hex, 16));
  const [first = 0] = addresses;
  return { fileOffset: Number(head?.[1]), offsets: addresses.map((address) => address - first) };
}

async function loaded() {
  const programs = await bpfman.load(OBJECT, "--programs", "uprobe:on_call", "uretprobe:on_return");
  const map = mapOf(programs, "counters");
  return {
    call: idOf(programs, "on_call"),
    ret: idOf(programs, "on_return"),
    counted: () => [counters(map)[CALLS], counters(map)[RETURNS]],
  };
}

const attach = (program: number, ...words: string[]): Promise<LinkAnswer> =>
  bpfman.attach(program, "uprobe", "--target", ...words);

test("function of a binary: every process counts, calls and returns, until detached", async () => {
  const { call, ret, counted } = await loaded();
  const links = [
    await attach(call, binary, "-f", "probed_function"),
    await attach(ret, binary, "-f", "probed_function"),
  ];
  expect(links.map(({ record }) => record.kind)).toEqual(["uprobe", "uretprobe"]);
  expect(links[1]?.record.details).toEqual({
    target: binary,
    fn_name: "probed_function",
    offset: 0,
    pid: null,
    retprobe: true,
    container_pid: null,
  });
  const targets = [startTarget(), startTarget()];
  for (const target of targets) await target.call(7);
  expect(counted()).toEqual([14, 14]);
  await bpfman.ok("detach", String(links[0]?.record.id));
  for (const target of targets) await target.call(2);
  expect(counted()).toEqual([14, 18]);
  await bpfman.ok("unload", String(ret), String(call));
  for (const { record } of links) expect(inKernel("link", record.kernel_link_id ?? 0)).toBe(false);
  for (const target of targets) await target.stop();
  await bpfman.expectNothingLeft();
});

test("--pid: the process named and no other", async () => {
  const { call, ret, counted } = await loaded();
  const [mine, other] = [startTarget(), startTarget()];
  const link = await attach(call, binary, "-f", "probed_function", "--pid", String(mine.pid));
  await attach(ret, binary, "-f", "probed_function", "-p", String(mine.pid));
  expect(link.record.details).toMatchObject({ pid: mine.pid, retprobe: false });
  await other.call(5);
  expect(counted()).toEqual([0, 0]);
  await mine.call(3);
  await other.call(5);
  expect(counted()).toEqual([3, 3]);
  await mine.stop();
  await other.stop();
});

test("library name: found by the linker's cache, or in what the process has mapped", async () => {
  const { call, ret, counted } = await loaded();
  const [mine, other] = [startTarget(), startTarget()];
  // a64l: nobody but the target calls it.
  const everybody = await attach(call, "libc", "-f", "a64l");
  expect(everybody.record.details).toMatchObject({ target: "libc", fn_name: "a64l", pid: null });
  await attach(ret, "libc.so.6", "-f", "a64l", "-p", String(mine.pid));
  await mine.call(4);
  await other.call(5);
  expect(counted()).toEqual([9, 4]);
  await mine.stop();
  await other.stop();
});

test("offset: into a function, or into the file when none is named", async () => {
  const { call, ret, counted } = await loaded();
  const { fileOffset, offsets } = instructions();
  expect(fileOffset).toBeGreaterThan(0);
  expect(offsets.length).toBeGreaterThan(2);
  const target = startTarget();
  const second = await attach(call, binary, "-f", "probed_function", "--offset", String(offsets[1]));
  expect(second.record.details).toMatchObject({ offset: offsets[1], fn_name: "probed_function" });
  await target.call(6);
  expect(counted()).toEqual([6, 0]);
  await bpfman.ok("detach", String(second.record.id));
  const inFile = await attach(call, binary, "--offset", String(fileOffset));
  expect(inFile.record.details).toMatchObject({ offset: fileOffset, fn_name: null });
  await attach(ret, binary, "-o", `0x${fileOffset.toString(16)}`);
  await target.call(2);
  expect(counted()).toEqual([8, 2]);
  expect(await bpfman.ok("list", "links")).toContain(`${binary} +0x${fileOffset.toString(16)} `);
  await target.stop();
});

test("what cannot be probed says why, and leaves no link", async () => {
  const { call } = await loaded();
  const refused = (exitCode: number, code: Parameters<typeof bpfman.refused>[1], ...words: string[]) =>
    bpfman.refused(exitCode, code, "attach", String(call), "uprobe", "--target", ...words);
  const unknown = await refused(3, "SYMBOL_NOT_FOUND", binary, "-f", "probed_functoin");
  expect(unknown.message).toContain('no function "probed_functoin"');
  expect(unknown.hint).toContain('"probed_function"');
  expect((await refused(3, "TARGET_NOT_FOUND", "libnone", "-f", "malloc")).message).toContain('"libnone"');
  expect((await refused(3, "TARGET_NOT_FOUND", "/no/such/file", "-f", "main")).message).toContain("/no/such/file");
  await refused(1, "INVALID_ATTACH", "./target", "-f", "main");
  await refused(1, "FILE_UNREADABLE", "/dev/zero", "-f", "main");
  expect((await refused(1, "INVALID_ATTACH", binary, "-f", "probed_function", "--offset", "4096")).message).toContain(
    "past the end",
  );
  await refused(1, "INVALID_ATTACH", binary, "--offset", "1000000000");
  const target = startTarget();
  await target.stop();
  await refused(3, "PROCESS_NOT_FOUND", binary, "-f", "probed_function", "--pid", String(target.pid));
  expect(await bpfman.links()).toEqual([]);
});
