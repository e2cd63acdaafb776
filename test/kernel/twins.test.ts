/** Programs whose twins the kernel would not take as they are, and those that call others by way of program arrays. */
import { expect } from "bun:test";
import { tcConfig, xdpConfig } from "../../src/dispatcher/dispatcher-config.ts";
import { openKernel } from "../../src/kernel/open-kernel.ts";
import { objectForLibbpf, readObject, twinBytes } from "../../src/object/object-file.ts";
import type { LoadedObject, ProgramToLoad, TwinToLoad } from "../../src/platform/kernel.ts";
import { verdictOf } from "../labs/chain-lab.ts";
import { compileBpf } from "../objects/compile.ts";
import { extensionTest } from "../labs/extension-test.ts";
import { bpftool, temporaryBpffs } from "../labs/kernel-lab.ts";

const bpffs = temporaryBpffs();
const kernel = openKernel();
type Hook = "xdp" | "tc";
const CONTEXT = { xdp: "struct xdp_md", tc: "struct __sk_buff" } as const;
const PASSES = { xdp: 2, tc: 0 } as const;
const DROPS = { xdp: 1, tc: 2 } as const;

async function load(
  bytes: Uint8Array,
  hook: Hook,
  { names, along = [] }: { readonly names: readonly string[]; readonly along?: readonly string[] },
): Promise<LoadedObject> {
  const program = (name: string): ProgramToLoad => ({ name, type: hook, attachFunction: null });
  const parts = { programs: names.map(program), alongside: along.map(program), globals: [], reuse: new Map() };
  const loaded = await kernel.load({ bytes, name: "twins", ...parts });
  for (const name of names) loaded.pinProgram(name, bpffs.path(name));
  return loaded;
}

function twinOf(bytes: Uint8Array, hook: Hook, { loaded, name }: { loaded: LoadedObject; name: string }): TwinToLoad {
  const info = loaded.programs.find((program) => program.name === name)!.kernel;
  const maps = loaded.maps.flatMap(({ id, name: map }) => (info.mapIds.includes(id) ? [[map, id] as const] : []));
  const section = readObject(bytes).programs.find((program) => program.name === name)?.section;
  return {
    name,
    program: { path: bpffs.path(name), kind: "program", id: info.id },
    bytes: twinBytes(bytes, name, hook)!,
    frags: section === "xdp.frags",
    maps: new Map(maps),
  };
}

async function dispatcherOf(hook: Hook, twins: readonly TwinToLoad[], frags = false) {
  const members = twins.map((_, priority) => ({ priority, proceedOn: [PASSES[hook]], frags }));
  const config = hook === "xdp" ? xdpConfig({ members, frags }) : tcConfig({ members });
  const slots = twins.map((twin) => ({ twin }));
  return kernel.loadDispatcher({ hook, config, members: slots, frags, expectedAttachType: null });
}

for (const hook of ["xdp", "tc"] as const) {
  const context = CONTEXT[hook];
  /** Each answers that the packet goes no further, so that it is seen to have run. */
  const VARIANTS: Readonly<Record<string, string>> = {
    plain: `int plain(${context} *ctx)`,
    an_enum: `enum verdict an_enum(${context} *ctx)`,
    unsigned_int: `unsigned int unsigned_int(${context} *ctx)`,
    a_long: `long a_long(${context} *ctx)`,
    a_u64: `__u64 a_u64(${context} *ctx)`,
    a_short: `short a_short(${context} *ctx)`,
    a_bool: `_Bool a_bool(${context} *ctx)`,
    a_typedef: `verdict_t a_typedef(context_t *ctx)`,
    constant: `int constant(const ${context} *ctx)`,
    anything: `int anything(void *ctx)`,
    nothing: `int nothing(void)`,
    two: `int two(${context} *ctx, int more)`,
    another: `int another(struct other *ctx)`,
    number: `int number(__u64 ctx)`,
    statically: `int statically(${context} *ctx)`,
  };
  const source = [
    `enum verdict { VERDICT = ${DROPS[hook]} }; typedef enum verdict verdict_t; typedef ${context} context_t; struct other { int x; };`,
    ...Object.values(VARIANTS).map(
      (head) => `SEC("${hook}") ${head} { return ${head.startsWith("_Bool") ? 1 : DROPS[hook]}; }`,
    ),
  ].join("\n");

  extensionTest(`${hook}: a twin is made of a program of any type`, async () => {
    const names = Object.keys(VARIANTS);
    const bytes = compileBpf(source);
    const loaded = await load(bytes, hook, { names });
    for (const name of names) {
      const dispatcher = await dispatcherOf(hook, [twinOf(bytes, hook, { loaded, name })]);
      expect([name, verdictOf(dispatcher.program)]).toEqual([name, name === "a_bool" ? 1 : DROPS[hook]]);
      dispatcher.close();
    }
    loaded.close();
  });

  for (const section of hook === "xdp" ? ["xdp", "xdp.frags"] : ["tc"]) {
    extensionTest(`${section}: twins share program arrays with their programs, and go on after a jump`, async () => {
      const bytes = compileBpf(`
        int target(${context} *ctx);
        struct { __uint(type, BPF_MAP_TYPE_PROG_ARRAY); __uint(max_entries, 2); __uint(key_size, 4); __array(values, int(void *)); }
          jumps SEC(".maps") = { .values = { [1] = (void *)&target } };
        __u64 hits; const volatile int answer = ${PASSES[hook]};
        static __attribute__((noinline)) int jump(${context} *ctx) {
          volatile int verdict = ${DROPS[hook]}; bpf_tail_call(ctx, &jumps, 1); return verdict; }
        SEC("${section}") int target(${context} *ctx) { __sync_fetch_and_add(&hits, 1); return answer; }
        SEC("${section}") int entry(${context} *ctx) { bpf_tail_call(ctx, &jumps, 1); return ${DROPS[hook]}; }
        SEC("${section}") int nested(${context} *ctx) { return jump(ctx); }
        SEC("${section}") int last(${context} *ctx) { return 7; }`);
      const names = ["entry", "nested", "last"];
      const { bytes: adapted, along } = objectForLibbpf(bytes, readObject(bytes), names);
      expect(along.get("entry")).toEqual(["target"]);
      const loaded = await load(adapted, hook, { names, along: ["target"] });
      const array = loaded.maps.find(({ name }) => name === "jumps")!;
      loaded.pinMap("jumps", bpffs.path("jumps"));
      const values = () => JSON.stringify(bpftool("map", "dump", "id", String(array.id)));
      const before = values();
      const twins = names.map((name) => twinOf(bytes, hook, { loaded, name }));
      loaded.close();
      const dispatcher = await dispatcherOf(hook, twins, section === "xdp.frags");
      expect(verdictOf(dispatcher.program)).toBe(7);
      // The slots hold what they held.
      expect(values()).toBe(before);
      dispatcher.close();
    });
  }
}
