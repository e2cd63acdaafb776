import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { openKernel } from "../../src/kernel/open-kernel.ts";
import { pinAt, toLoad } from "../objects/bpf-fixture.ts";
import { counters, sh, temporaryBpffs, until } from "../labs/kernel-lab.ts";

const bpffs = temporaryBpffs();
const kernel = openKernel();

let directory = "";
let binary = "";
/** Where probed_function stands in the file. */
let fileOffset = 0;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "bpfman-uprobe-"));
  binary = join(directory, "target");
  sh("gcc", "-O1", "-o", binary, resolve(import.meta.dir, "../fixtures/uprobe_target.c"));
  const address = Number.parseInt(/^([0-9a-f]+) T probed_function$/m.exec(sh("nm", binary))?.[1] ?? "", 16);
  // The segment that holds it: file offset and address are the 2nd and 3rd column.
  for (const [, offset = "", start = "", size = ""] of sh("readelf", "-lW", binary).matchAll(
    /^\s+LOAD\s+(0x[0-9a-f]+) (0x[0-9a-f]+) 0x[0-9a-f]+ (0x[0-9a-f]+)/gm,
  )) {
    const distance = address - Number(start);
    if (distance >= 0 && distance < Number(size)) fileOffset = Number(offset) + distance;
  }
  expect(fileOffset).toBeGreaterThan(0);
});
afterAll(() => rmSync(directory, { recursive: true }));

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

async function load(name: "count_calls" | "count_returns") {
  const type = name === "count_calls" ? "uprobe" : "uretprobe";
  const loaded = await kernel.load(toLoad("counters", `${type}:${name}`));
  loaded.pinProgram(name, bpffs.path("program"));
  loaded.close();
  const map = loaded.maps[0]!.id;
  return { counted: () => counters(map)[type === "uprobe" ? 2 : 3] ?? 0 };
}

for (const [kind, name] of [
  ["uprobe", "count_calls"],
  ["uretprobe", "count_returns"],
] as const) {
  test(`${kind}: counts every process, also when only the pin is left, and not any longer`, async () => {
    const { counted } = await load(name);
    const link = kernel.attach(pinAt(kernel, bpffs.path("program")), { kind, path: binary, fileOffset, pid: null });
    expect(kernel.link(link.id)).toMatchObject({ type: 7, attachType: null });
    const targets = [startTarget(), startTarget()];
    for (const target of targets) await target.call(4);
    expect(counted()).toBe(8);
    link.pin(bpffs.path("link"));
    link.close();
    for (const target of targets) await target.call(3);
    expect(counted()).toBe(14);
    // Closing the last reference takes effect at once; with the unpinning alone the kernel takes its time.
    const last = kernel.openPin(bpffs.path("link"));
    bpffs.unpin("link");
    last?.close();
    await until(() => kernel.link(link.id) === null);
    for (const target of targets) {
      await target.call(3);
      await target.stop();
    }
    expect(counted()).toBe(14);
  });

  test(`${kind}: counts the one process named, and no other`, async () => {
    const { counted } = await load(name);
    const [mine, other] = [startTarget(), startTarget()];
    const link = kernel.attach(pinAt(kernel, bpffs.path("program")), { kind, path: binary, fileOffset, pid: mine.pid });
    await other.call(5);
    expect(counted()).toBe(0);
    await mine.call(2);
    await other.call(5);
    expect(counted()).toBe(2);
    link.close();
    await until(() => kernel.link(link.id) === null);
    await mine.stop();
    await other.stop();
  });
}

test("says what is wrong with the target", async () => {
  await load("count_calls");
  const attach = (changes: { path?: string; fileOffset?: number; pid?: number }) => () =>
    kernel.attach(pinAt(kernel, bpffs.path("program")), {
      kind: "uprobe",
      path: binary,
      fileOffset,
      pid: null,
      ...changes,
    });
  const code = (name: string) => expect.objectContaining({ code: name });
  expect(attach({ path: "/no/such/file" })).toThrow(code("TARGET_NOT_FOUND"));
  expect(attach({ fileOffset: 1 << 30 })).toThrow(code("ATTACH_FAILED"));
  expect(attach({ path: "/proc/self/status" })).toThrow(code("ATTACH_FAILED"));
  const target = startTarget();
  await target.stop();
  expect(attach({ pid: target.pid })).toThrow(code("PROCESS_NOT_FOUND"));
});
