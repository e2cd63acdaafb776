import { expect } from "bun:test";
import { readFileSync } from "node:fs";
import type { KernelLinkId, ProgramId } from "../../src/domain/ids.ts";
import { openKernel } from "../../src/kernel/open-kernel.ts";
import type { AttachedLink, HookAnchor, TcHook } from "../../src/platform/kernel.ts";
import { pinAt, toLoad } from "../objects/bpf-fixture.ts";
import { bpftool, cable, counters, sh, temporaryBpffs, until } from "../labs/kernel-lab.ts";
import { tcxTest } from "../labs/tcx-test.ts";
import { temporaryDirectory } from "../labs/temporary-directory.ts";

const bpffs = temporaryBpffs();
const wire = cable();
const directory = temporaryDirectory();
const kernel = openKernel();
const LAST: HookAnchor = { side: "last" };

const hook = (direction: TcHook["direction"] = "ingress"): TcHook => ({
  netns: wire.netns,
  ifindex: wire.ifindex,
  direction,
});

/** Loads and pins the packet counter; the map to watch. */
async function counterPinned(name: string): Promise<{ pin: string; map: number; id: ProgramId }> {
  const loaded = await kernel.load(toLoad("counters", "tcx:count_packets"));
  loaded.pinProgram("count_packets", bpffs.path(name));
  loaded.close();
  return { pin: bpffs.path(name), map: loaded.maps[0]!.id, id: loaded.programs[0]!.kernel.id };
}

const attach = (pin: string, anchor: HookAnchor = LAST, direction: TcHook["direction"] = "ingress"): AttachedLink =>
  kernel.attach(pinAt(kernel, pin), {
    kind: "tcx",
    ...hook(direction),
    anchor,
    revision: kernel.tcxState(hook(direction)).revision,
  });

const packets = (map: number): number => counters(map)[0] ?? 0;
const gone = (link: KernelLinkId) => until(() => kernel.link(link) === null);

for (const direction of ["ingress", "egress"] as const) {
  tcxTest(`counts packets on ${direction} while attached, also after the handle is closed, and no longer`, async () => {
    const { pin, map, id } = await counterPinned("program");
    const link = attach(pin, LAST, direction);
    expect(kernel.link(link.id)).toEqual({
      id: link.id,
      programId: id,
      type: 11,
      attachType: direction === "ingress" ? 46 : 47,
      facts: { kind: "tcx", ifindex: wire.ifindex },
    });
    wire.ping(5);
    const attached = packets(map);
    expect(attached).toBeGreaterThanOrEqual(5);

    link.pin(bpffs.path("link"));
    link.close();
    link.close();
    wire.ping(5);
    const pinned = packets(map);
    expect(pinned).toBeGreaterThanOrEqual(attached + 5);
    // The type is a number for a bpftool that is older than TCX.
    const shown = bpftool("link", "show", "id", String(link.id));
    expect(shown.prog_id).toBe(id);
    expect(["tcx", 11]).toContain(shown.type);

    const last = kernel.openPin(bpffs.path("link"));
    bpffs.unpin("link");
    last?.close();
    await gone(link.id);
    const detached = packets(map);
    wire.ping(5);
    expect(packets(map)).toBe(detached);
    expect(kernel.tcxState(hook(direction)).members).toEqual([]);
  });
}

tcxTest("a link that is not pinned goes with its handle", async () => {
  const { pin } = await counterPinned("program");
  const link = attach(pin);
  link.close();
  await gone(link.id);
});

tcxTest("takes the place beside another link", async () => {
  const ids: ProgramId[] = [];
  const pins: string[] = [];
  for (const name of ["a", "b", "c", "d"]) {
    const loaded = await counterPinned(name);
    ids.push(loaded.id);
    pins.push(loaded.pin);
  }
  const [a = "", b = "", c = "", d = ""] = pins;
  const first = attach(a);
  const second = attach(b, { side: "before", link: first.id });
  const third = attach(c, { side: "after", link: second.id });
  const fourth = attach(d);
  const links = [second, third, first, fourth];
  const state = kernel.tcxState(hook());
  expect(state.members.map((member) => member.link)).toEqual(links.map((link) => link.id));
  expect(state.members.map((member) => member.program)).toEqual([ids[1]!, ids[2]!, ids[0]!, ids[3]!]);
  for (const link of links) link.close();
  await until(() => kernel.tcxState(hook()).members.length === 0);
});

tcxTest("programs run in that order: behind one that drops, nothing arrives", async () => {
  const counter = await counterPinned("counter");
  const loaded = await kernel.load(toLoad("counters", "tcx:drop_packets"));
  loaded.pinProgram("drop_packets", bpffs.path("drop"));
  loaded.close();
  const counting = attach(counter.pin);
  const dropping = attach(bpffs.path("drop"), { side: "after", link: counting.id });
  expect(wire.ping(3)).toBe(0);
  expect(packets(counter.map)).toBeGreaterThanOrEqual(3);
  dropping.close();

  const before = attach(bpffs.path("drop"), { side: "before", link: counting.id });
  // Only now: between the two, a packet of the neighbour may still arrive.
  const counted = packets(counter.map);
  expect(wire.ping(3)).toBe(0);
  expect(packets(counter.map)).toBe(counted);
  before.close();
  expect(wire.ping(3)).toBe(3);
  counting.close();
});

tcxTest("a hook that has changed in between is not touched", async () => {
  const a = await counterPinned("a");
  const b = await counterPinned("b");
  const { revision } = kernel.tcxState(hook());
  const first = attach(a.pin);
  const late = { kind: "tcx", ...hook(), anchor: LAST, revision } as const;
  expect(() => kernel.attach(pinAt(kernel, b.pin), late)).toThrow(
    expect.objectContaining({ code: "HOOK_CHANGED", sys: expect.objectContaining({ name: "ESTALE" }) }),
  );
  const link = first.id;
  first.close();
  await gone(link);
  const beside = { side: "after", link } as const;
  expect(() => attach(b.pin, beside)).toThrow(expect.objectContaining({ code: "HOOK_CHANGED" }));
  expect(kernel.tcxState(hook()).members).toEqual([]);
});

tcxTest("forceDetach takes it off the hook while pin and handle still hold the link", async () => {
  const { pin, map } = await counterPinned("program");
  const link = attach(pin);
  link.pin(bpffs.path("link"));
  kernel.forceDetach(link.id);
  expect(kernel.tcxState(hook()).members).toEqual([]);
  const before = packets(map);
  wire.ping(3);
  expect(packets(map)).toBe(before);
  expect(kernel.link(link.id)).not.toBeNull();
  link.close();
  bpffs.unpin("link");
  await gone(link.id);
  kernel.forceDetach(link.id);
});

tcxTest("says what is missing: namespace, interface, program", async () => {
  const { pin } = await counterPinned("program");
  const at = (changes: Partial<TcHook>) => () =>
    kernel.attach(pinAt(kernel, pin), { kind: "tcx", ...hook(), ...changes, anchor: LAST, revision: 0n });
  const code = (name: string) => expect.objectContaining({ code: name });
  expect(at({ netns: "/run/netns/bpfman-none" })).toThrow(code("NETNS_NOT_FOUND"));
  expect(at({ netns: "/etc/passwd" })).toThrow(code("NETNS_NOT_FOUND"));
  expect(at({ ifindex: 4_000_000 })).toThrow(code("INTERFACE_NOT_FOUND"));
  expect(() => kernel.tcxState({ ...hook(), ifindex: 4_000_000 })).toThrow(code("INTERFACE_NOT_FOUND"));
  expect(() => attach(bpffs.path("nothing"))).toThrow(code("STATE_CONFLICT"));
  // The same program twice on one hook.
  const link = attach(pin);
  expect(() => attach(pin)).toThrow(code("ALREADY_ATTACHED"));
  link.close();
  await gone(link.id);
});

tcxTest("a program of another type is refused", async () => {
  const loaded = await kernel.load(toLoad("counters", "tracepoint:count_opens"));
  loaded.pinProgram("count_opens", bpffs.path("program"));
  loaded.close();
  expect(() => attach(bpffs.path("program"))).toThrow(expect.objectContaining({ code: "ATTACH_FAILED" }));
});

tcxTest("an attach makes the link without asking the hook once more", async () => {
  const { pin } = await counterPinned("program");
  const target = { kind: "tcx", ...hook(), anchor: LAST };
  const script = `import { openKernel } from ${JSON.stringify(`${import.meta.dir}/../../src/kernel/open-kernel.ts`)};
    const target = { ...${JSON.stringify(target)}, revision: ${kernel.tcxState(hook()).revision}n };
    openKernel().attach(${JSON.stringify(pinAt(kernel, pin))}, target).close();`;
  const trace = directory.path("trace");
  sh("strace", "-f", "-qq", "-o", trace, "-e", "trace=bpf", process.execPath, "-e", script);
  const calls = readFileSync(trace, "utf8");
  expect(calls.match(/BPF_LINK_CREATE|bpf\(0x1c,/g)).toHaveLength(1);
  expect(calls).not.toMatch(/BPF_PROG_QUERY|bpf\(0x10,/);
});
