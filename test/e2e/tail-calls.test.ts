/** Programs that call others by way of program arrays, and objects without BTF: loaded and attached as what they are. */
import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import type { DispatcherListAnswer } from "../../src/domain/answer.ts";
import { wire } from "../labs/chain-lab.ts";
import { compileBpf } from "../objects/compile.ts";
import { executable, idOf, mapOf } from "../labs/executable.ts";
import { extensionTest } from "../labs/extension-test.ts";
import { bpftool, until } from "../labs/kernel-lab.ts";

const bpfman = executable();
const lab = wire();

const OBJECT_OF = {
  /** An array that the object fills: `entry` jumps to `target`, which drops. */
  filled: (hook: Hook) => `
    int target(${CONTEXT[hook]} *ctx);
    struct { __uint(type, BPF_MAP_TYPE_PROG_ARRAY); __uint(max_entries, 2); __uint(key_size, 4); __array(values, int(void *)); }
      jumps SEC(".maps") = { .values = { [0] = (void *)&target } };
    __u64 hits;
    SEC("${hook}") int target(${CONTEXT[hook]} *ctx) { __sync_fetch_and_add(&hits, 1); return ${DROPS[hook]}; }
    SEC("${hook}") int entry(${CONTEXT[hook]} *ctx) { bpf_tail_call(ctx, &jumps, 0); return ${PASSES[hook]}; }
    SEC("${hook}") int pass(${CONTEXT[hook]} *ctx) { return ${PASSES[hook]}; }`,
  /** An array that somebody fills later. */
  empty: (hook: Hook) => `
    struct { __uint(type, BPF_MAP_TYPE_PROG_ARRAY); __uint(max_entries, 2); __uint(key_size, 4); __uint(value_size, 4); }
      jumps SEC(".maps");
    SEC("${hook}") int target(${CONTEXT[hook]} *ctx) { return ${DROPS[hook]}; }
    SEC("${hook}") int entry(${CONTEXT[hook]} *ctx) { bpf_tail_call(ctx, &jumps, 0); return ${PASSES[hook]}; }
    SEC("${hook}") int pass(${CONTEXT[hook]} *ctx) { return ${PASSES[hook]}; }`,
} as const;
type Hook = "xdp" | "tc";
const CONTEXT = { xdp: "struct xdp_md", tc: "struct __sk_buff" } as const;
const PASSES = { xdp: 2, tc: 0 } as const;
const DROPS = { xdp: 1, tc: 2 } as const;

describe.each(["xdp", "tc"] as const)("%s", (hook) => {
  function object(source: string, flags: readonly string[] = []): string {
    const path = bpfman.path("object.o");
    writeFileSync(path, compileBpf(source, flags));
    return path;
  }
  const place = (priority: number): string[] => [
    ...[hook, "-i", "veth0", "-n", lab.netns(), "-p", String(priority)],
    ...(hook === "tc" ? ["-d", "ingress"] : []),
  ];
  const load = (path: string, ...names: readonly string[]) =>
    bpfman.load(path, "--programs", ...names.map((name) => `${hook}:${name}`));
  const modes = async () => {
    const { dispatchers }: DispatcherListAnswer = await bpfman.json("dispatcher", "list");
    return dispatchers.map(({ mode }) => mode);
  };
  /** Whether a packet comes through; it is counted where it ends. */
  async function comesThrough(): Promise<boolean> {
    const [received, sent] = [lab.received(), lab.sent()];
    lab.send(1);
    await until(() => lab.sent() === sent + 1);
    await Bun.sleep(50);
    return lab.received() === received + 1;
  }

  /** Programs called `target`: others on this machine may have that name too. */
  const targets = (): number[] =>
    bpftool("prog", "show").flatMap(({ id, name }: { id: number; name?: string }) => (name === "target" ? [id] : []));
  const newTargets = (before: readonly number[]): number[] => targets().filter((id) => !before.includes(id));

  test.each([[["entry"]], [["entry", "target"]], [["target", "entry"]]])(
    `${hook}: an array that the object fills, with %j`,
    async (names) => {
      const before = targets();
      const programs = await load(object(OBJECT_OF.filled(hook)), ...names);
      expect(newTargets(before)).toHaveLength(1);
      const shown = programs.map(({ status }) => status.kernel?.program_type);
      expect(shown).toEqual(names.map(() => (hook === "xdp" ? "xdp" : "schedcls")));
      await bpfman.attach(idOf(programs, "entry"), ...place(50));
      expect(await modes()).toEqual(["direct"]);
      expect(await comesThrough()).toBe(false);
      // The array keeps what it holds for as long as it is there itself.
      if (names.includes("target")) await bpfman.ok("unload", String(idOf(programs, "target")));
      expect(await comesThrough()).toBe(false);
      await bpfman.ok("unload", String(idOf(programs, "entry")));
      expect(await comesThrough()).toBe(true);
      await bpfman.expectNothingLeft();
      await until(() => newTargets(before).length === 0);
    },
  );

  test(`${hook}: a program that uses no array brings nothing along`, async () => {
    const before = targets();
    await load(object(OBJECT_OF.filled(hook)), "pass");
    expect(newTargets(before)).toEqual([]);
  });

  test(`${hook}: an array that is filled later`, async () => {
    const programs = await load(object(OBJECT_OF.empty(hook)), "entry", "target");
    await bpfman.attach(idOf(programs, "entry"), ...place(50));
    expect(await comesThrough()).toBe(true);
    const value = ["key", "0", "0", "0", "0", "value", "id", String(idOf(programs, "target"))];
    bpftool("map", "update", "id", String(mapOf(programs, "jumps")), ...value);
    expect(await comesThrough()).toBe(false);
  });

  extensionTest(`${hook}: members of a chain jump as they did alone, and the chain goes on`, async () => {
    for (const kind of ["filled", "empty"] as const) {
      const programs = await load(object(OBJECT_OF[kind](hook)), "entry", "target", "pass");
      const array = String(mapOf(programs, "jumps"));
      if (kind === "empty") {
        const value = ["key", "0", "0", "0", "0", "value", "id", String(idOf(programs, "target"))];
        bpftool("map", "update", "id", array, ...value);
      }
      const values = JSON.stringify(bpftool("map", "dump", "id", array));
      const entry = await bpfman.attach(idOf(programs, "entry"), ...place(50));
      await bpfman.attach(idOf(programs, "pass"), ...place(10));
      expect(await modes()).toEqual(["chain"]);
      expect(JSON.stringify(bpftool("map", "dump", "id", array))).toBe(values);
      expect(await comesThrough()).toBe(false);
      const drops = hook === "xdp" ? "drop" : "shot";
      await bpfman.ok("link", "update", String(entry.record.id), "--proceed-on", drops);
      expect(await comesThrough()).toBe(true);
      await bpfman.ok("unload", ...["entry", "target", "pass"].map((name) => String(idOf(programs, name))));
    }
  });

  test(`${hook}: without BTF a program runs alone`, async () => {
    const source = `SEC("${hook}") int drops(void *ctx) { return ${DROPS[hook]}; }`;
    const programs = await load(object(source, ["-g0"]), "drops");
    await bpfman.attach(idOf(programs, "drops"), ...place(50));
    expect(await comesThrough()).toBe(false);
  });

  extensionTest(`${hook}: without BTF a program is refused in a chain`, async () => {
    const source = `SEC("${hook}") int drops(void *ctx) { return ${DROPS[hook]}; }`;
    const [bare] = await load(object(source, ["-g0"]), "drops");
    const [whole] = await load(object(source), "drops");
    const [first, second] = [bare, whole].map((each) => String(each?.record?.program_id));
    await bpfman.ok("attach", first ?? "", ...place(50));
    const refusal = await bpfman.refused(1, "INVALID_PROGRAM", "attach", second ?? "", ...place(10));
    expect(refusal.message).toStartWith(`program ${first} "drops" (link 1) cannot share veth0`);
    expect(refusal.hint).toContain("clang -g");
    expect(await modes()).toEqual(["direct"]);
    expect(await comesThrough()).toBe(false);
  });
});
