/** How the function of a kprobe is named: with its module, with an offset, by its address, and which one of several. */
import { expect } from "bun:test";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { buildBpf } from "../../scripts/build-bpf.ts";
import type { LinkAnswer } from "../../src/domain/answer.ts";
import { executable, idOf, mapOf } from "../labs/executable.ts";
import { featureTest, MODULE_FUNCTION } from "../labs/kernel-feature.ts";
import { counters, deleteNamespaces, sh } from "../labs/kernel-lab.ts";
import { KERNEL_FUNCTION, workload } from "../labs/workload.ts";

buildBpf();
const OBJECT = resolve(import.meta.dir, "../../dist/bpf/fixtures/kinds.bpf.o");
const bpfman = executable();
const work = workload();

/** The kernel's own functions by name, with their addresses. */
function kernelFunctions(): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const [, address = "", name = ""] of readFileSync("/proc/kallsyms", "latin1").matchAll(
    /^([0-9a-f]+) [tT] (\w+)$/gm,
  )) {
    found.set(name, [...(found.get(name) ?? []), address]);
  }
  return found;
}

interface Loaded {
  readonly program: number;
  /** How often it ran since the last call. */
  hits(): number;
}

async function loaded(selector = "kprobe:count_kprobe", process = work.nameHex): Promise<Loaded> {
  const programs = await bpfman.load(OBJECT, "-g", `WORKLOAD=${process}`, "--programs", selector);
  const map = mapOf(programs, "events");
  const total = (): number => counters(map).reduce((sum, each) => sum + each, 0);
  let before = total();
  return {
    program: idOf(programs, selector.split(":")[1] ?? ""),
    hits() {
      const now = total();
      const since = now - before;
      before = now;
      return since;
    },
  };
}

featureTest("kprobe", "a function with its module, its address, and an offset behind it", async () => {
  const { program, hits } = await loaded();
  const [address = ""] = kernelFunctions().get(KERNEL_FUNCTION) ?? [];
  const listing = sh("grep", "-m1", ` ${KERNEL_FUNCTION}$`, "/proc/kallsyms");
  expect(listing).toContain(address);
  for (const [name, shown] of [
    [`vmlinux:${KERNEL_FUNCTION}`, `vmlinux:${KERNEL_FUNCTION}`],
    [`0x${address}`, `0x${address}`],
    [`${KERNEL_FUNCTION}+0x0`, KERNEL_FUNCTION],
    [`vmlinux:${KERNEL_FUNCTION}+0`, `vmlinux:${KERNEL_FUNCTION}`],
  ] as const) {
    const link = await bpfman.attach(program, "kprobe", "--fn-name", name);
    expect(link.record.details).toEqual({ fn_name: shown, offset: 0, retprobe: false });
    await work.run(3);
    expect([name, hits()]).toEqual([name, 3]);
    await bpfman.ok("detach", String(link.record.id));
  }
  const words = ["attach", String(program), "kprobe", "--fn-name"] as const;
  await bpfman.refused(3, "SYMBOL_NOT_FOUND", ...words, `no_such_module:${KERNEL_FUNCTION}`);
  await bpfman.refused(1, "INVALID_ATTACH", ...words, `${KERNEL_FUNCTION}+0x100000`);
  expect(await bpfman.links()).toEqual([]);
});

featureTest("kprobe", "one of several functions of a name, by its address", async () => {
  const { program } = await loaded();
  // Names such as __pfx_cmask_show are of the room in front of functions, where no probe can be.
  const twice = [...kernelFunctions()].filter(([name, places]) => /^[a-z]+_show$/.test(name) && places.length > 1);
  const [name = "", places = []] = twice[0] ?? [];
  const refusal = await bpfman.refused(1, "ATTACH_FAILED", "attach", String(program), "kprobe", "--fn-name", name);
  expect(refusal.message).toContain(`${places.length} functions named "${name}"`);
  expect(refusal.hint).toContain(`0x${places[0]} (vmlinux)`);
  // Some functions take no probe, and which they are differs from kernel to kernel: two that take one are enough.
  const attached: string[] = [];
  for (const address of twice.slice(0, 8).flatMap(([, addresses]) => addresses.slice(0, 2))) {
    if (attached.length === 2) break;
    const { code, out, error } = await bpfman.run(
      "attach",
      String(program),
      "kprobe",
      "--fn-name",
      `0x${address}`,
      "--output",
      "json",
    );
    if (code !== 0) {
      expect(error).toContain("the kernel does not allow a probe there");
      continue;
    }
    attached.push(address);
    const { record, status }: LinkAnswer = JSON.parse(out);
    expect(record.details).toMatchObject({ fn_name: `0x${address}`, offset: 0 });
    expect(status.kernel_seen).toBe(true);
    const text = await bpfman.ok("get", "link", String(record.id), "-o", "json");
    const printed = /"kprobe_address": (\d+)/.exec(text)?.[1];
    // Linux 6.6 and newer say it; functions may begin with a landing pad of 4 bytes, behind which the probe sits.
    if (printed !== undefined) expect([0n, 4n]).toContain(BigInt(printed) - BigInt(`0x${address}`));
  }
  expect(attached).toHaveLength(2);
});

featureTest(
  "module",
  "a function of a module, which a kprobe names with or without it, and fentry without",
  async () => {
    const { module, name } = MODULE_FUNCTION;
    const network = `bpfman-module-${process.pid}`;
    const ip = Buffer.from("ip".padEnd(16, "\0")).toString("hex");
    sh("ip", "netns", "add", network);
    try {
      let interfaces = 0;
      const addInterface = () => void sh("ip", "-n", network, "link", "add", `dummy${interfaces++}`, "type", "dummy");
      const kprobe = await loaded("kprobe:count_kprobe", ip);
      for (const written of [`${module}:${name}`, name]) {
        const link = await bpfman.attach(kprobe.program, "kprobe", "--fn-name", written);
        expect(link.record.details).toMatchObject({ fn_name: written, offset: 0 });
        addInterface();
        expect([written, kprobe.hits()]).toEqual([written, 1]);
        await bpfman.ok("detach", String(link.record.id));
        addInterface();
        expect(kprobe.hits()).toBe(0);
      }
      const words = ["attach", String(kprobe.program), "kprobe", "--fn-name"] as const;
      const elsewhere = await bpfman.refused(3, "SYMBOL_NOT_FOUND", ...words, `vmlinux:${name}`);
      expect(elsewhere.hint).toContain(`${module}:${name}`);

      const fentry = await loaded(`fentry:count_fentry:${name}`, ip);
      await bpfman.attach(fentry.program, "fentry");
      addInterface();
      expect(fentry.hits()).toBe(1);
    } finally {
      deleteNamespaces(network);
    }
  },
);
