/**
 * Checks what every KernelPort must do, on the fake and on the host's kernel, so that service tests on the fake are
 * meaningful. Effects on packets and the like are tested in test/kernel.
 */
import { beforeEach, describe, expect, test } from "bun:test";
import { buildBpf } from "../../scripts/build-bpf.ts";
import { kernelLinkId, mapId, type ProgramId, programId } from "../../src/domain/ids.ts";
import { openKernel } from "../../src/kernel/open-kernel.ts";
import type { CgroupHook } from "../../src/domain/link.ts";
import type {
  AttachedLink,
  CgroupAttach,
  HookAnchor,
  KernelPort,
  LoadedObject,
  TcHook,
} from "../../src/platform/kernel.ts";
import { pinAt, toLoad } from "../objects/bpf-fixture.ts";
import { failureOf, failureOfAsync } from "../expect/failure.ts";
import { FakeKernel } from "../fakes/fake-kernel.ts";
import { cgroupLab, cgroupOrderAvailable } from "../labs/cgroup-lab.ts";
import { cable, heldPrograms, temporaryBpffs, until } from "../labs/kernel-lab.ts";
import { tcxAvailable } from "../labs/tcx-test.ts";

buildBpf();

interface Bed {
  readonly kernel: KernelPort;
  /** Where something can be pinned. */
  pin(name: string): string;
  unpin(name: string): void;
  hook(direction?: TcHook["direction"]): TcHook;
  /** One point of a cgroup that nobody else uses, and that cgroup's end. */
  cgroup(): CgroupHook;
  removeCgroup(): void;
  /** Ids of the programs that were loaded here and are held by nothing but this process. */
  held(): readonly number[];
}

const OPENAT = { kind: "tracepoint", group: "syscalls", name: "sys_enter_openat" } as const;
const LAST: HookAnchor = { side: "last" };
/** Larger than any id that either kernel has given. */
const NO_ID = 0x7fff_fff0;
/** BPF_MPROG_MAX - 1 (kernel/bpf/mprog.c). */
const HOOK_MEMBERS_MAX = 63;
const NO_INTERFACE = 4_000_000;
/** BPF_PROG_TYPE_*, BPF_LINK_TYPE_* and BPF_TCX_* of include/uapi/linux/bpf.h. */
const [SCHED_CLS, TRACEPOINT, PERF_EVENT, TCX, TCX_INGRESS, TCX_EGRESS] = [3, 5, 7, 11, 46, 47];
/** BPF_LINK_TYPE_CGROUP, BPF_CGROUP_INET4_CONNECT. */
const [CGROUP, CGROUP_INET4_CONNECT] = [3, 10];

describe("fake", () => {
  let kernel = new FakeKernel();
  // Made anew by each test that asks for its bed.
  const bed = (): Bed => {
    kernel = new FakeKernel();
    kernel.refused.add("reads_null");
    return {
      kernel,
      pin: (name) => `/fake/fs/${name}`,
      unpin: (name) => {
        kernel.pins.delete(`/fake/fs/${name}`);
        kernel.sweep();
      },
      hook: (direction = "ingress") => ({ netns: null, ifindex: 2, direction }),
      cgroup: () => ({ cgroup: "/sys/fs/cgroup/system.slice", cgroupId: 42, attachType: "CGROUP_INET4_CONNECT" }),
      removeCgroup: () => kernel.removeCgroup("/sys/fs/cgroup/system.slice"),
      held: () => kernel.programIds(),
    };
  };
  kernelPort(bed, { hasTcx: true, ordersCgroups: true });
});

// Skipped without root, which mounting a BPF file system and loading programs needs.
describe.skipIf(process.geteuid?.() !== 0)("kernel of this machine", () => {
  const bpffs = temporaryBpffs();
  const wire = cable();
  const lab = cgroupLab();
  let cgroup: CgroupHook;
  beforeEach(() => {
    cgroup = { ...openKernel().cgroup(lab.make("contract")), attachType: "CGROUP_INET4_CONNECT" };
  });
  const bed = (): Bed => ({
    kernel: openKernel(),
    pin: (name) => bpffs.path(name),
    unpin: (name) => bpffs.unpin(name),
    hook: (direction = "ingress") => ({ netns: wire.netns, ifindex: wire.ifindex, direction }),
    cgroup: () => cgroup,
    removeCgroup: () => lab.remove(cgroup.cgroup),
    held: heldPrograms,
  });
  kernelPort(bed, { hasTcx: tcxAvailable, ordersCgroups: cgroupOrderAvailable });
});

interface Abilities {
  readonly hasTcx: boolean;
  readonly ordersCgroups: boolean;
}

function kernelPort(makeBed: () => Bed, { hasTcx, ordersCgroups }: Abilities): void {
  /** Loads one program of the counters and pins it under `name`; only the pin holds it then. */
  const pinned = (bed: Bed, selector: string, name: string) => pinnedFrom("counters", bed, selector, name);
  async function pinnedFrom(
    object: string,
    { kernel, pin }: Bed,
    selector: string,
    name: string,
  ): Promise<LoadedObject> {
    const loaded = await kernel.load(toLoad(object, selector));
    loaded.pinProgram(selector.split(":")[1] ?? "", pin(name));
    loaded.close();
    return loaded;
  }
  const idOf = (loaded: LoadedObject): ProgramId => loaded.programs[0]!.kernel.id;
  const gone = (check: () => unknown): Promise<void> => until(() => check() === null);

  describe("load", () => {
    test("gives what was asked for, in that order, and the kernel knows it by its id", async () => {
      const { kernel } = makeBed();
      const loaded = await kernel.load(toLoad("counters", "tracepoint:count_opens", "tcx:count_packets"));
      expect(loaded.programs.map(({ name }) => name)).toEqual(["count_opens", "count_packets"]);
      expect(loaded.programs.map((program) => program.kernel.type)).toEqual([TRACEPOINT, SCHED_CLS]);
      for (const program of loaded.programs) {
        const seen = kernel.program(program.kernel.id);
        expect(seen).toMatchObject({
          id: program.kernel.id,
          name: program.name,
          gplCompatible: true,
          restricted: false,
        });
        expect(seen?.tag).toMatch(/^[0-9a-f]{16}$/);
        expect(seen?.mapIds.toSorted()).toEqual(loaded.maps.map((map) => map.id).toSorted());
        expect(seen?.loadedAt).toBeInstanceOf(Date);
        for (const size of [seen?.jitedSize, seen?.xlatedSize, seen?.verifiedInstructions]) {
          expect(size).toBeGreaterThan(0);
        }
        expect(kernel.programIds()).toContain(program.kernel.id);
      }
      const ids = kernel.programIds();
      expect(ids).toEqual(ids.toSorted((a, b) => a - b));
      loaded.close();
    });

    test("gives the maps with their full names, of which the kernel keeps 15 characters", async () => {
      const { kernel } = makeBed();
      const loaded = await kernel.load(toLoad("counters", "tcx:count_packets"));
      const named = loaded.maps.find((map) => !map.internal);
      expect(named).toEqual({
        name: "event_counters_of_all",
        id: expect.any(Number),
        internal: false,
        reused: false,
      });
      expect(kernel.map(named!.id)).toMatchObject({
        id: named!.id,
        name: "event_counters_",
        type: 2,
        keySize: 4,
        valueSize: 8,
        maxEntries: 5,
        flags: 0,
      });
      expect(loaded.maps.filter((map) => map.internal).map((map) => map.name)).toEqual([".rodata"]);
      loaded.close();
    });

    test("leaves out the maps that no loaded program uses", async () => {
      const { kernel } = makeBed();
      const loaded = await kernel.load(toLoad("counters", "tcx:count_packets"));
      expect(loaded.maps.map((map) => map.name)).not.toContain("bystander");
      const without = await kernel.load(toLoad("counters", "tcx:drop_packets"));
      // Constants are bound to every program.
      expect(without.maps.map((map) => map.name)).toEqual([".rodata"]);
      loaded.close();
      without.close();
    });

    test("what is not pinned goes with close, which may be called again", async () => {
      const { kernel } = makeBed();
      const loaded = await kernel.load(toLoad("counters", "tcx:count_packets"));
      const id = idOf(loaded);
      expect(kernel.program(id)).not.toBeNull();
      loaded.close();
      loaded.close();
      await gone(() => kernel.program(id));
      for (const map of loaded.maps) await gone(() => kernel.map(map.id));
      expect(kernel.programIds()).not.toContain(id);
    });

    test("a pinned program stays, and its maps with it, until the pin goes", async () => {
      const bed = makeBed();
      const { kernel } = bed;
      const loaded = await pinned(bed, "tcx:count_packets", "program");
      const id = idOf(loaded);
      expect(kernel.program(id)?.id).toBe(id);
      for (const map of loaded.maps) expect(kernel.map(map.id)?.id).toBe(map.id);
      bed.unpin("program");
      await gone(() => kernel.program(id));
      for (const map of loaded.maps) await gone(() => kernel.map(map.id));
    });

    test("a pinned map is taken over: the same map, for as long as anybody holds it", async () => {
      const bed = makeBed();
      const { kernel } = bed;
      const first = await kernel.load(toLoad("counters", "tcx:count_packets"));
      first.pinMap("event_counters_of_all", bed.pin("map"));
      first.close();
      const id = first.maps.find((map) => !map.internal)!.id;
      await gone(() => kernel.program(idOf(first)));
      expect(kernel.map(id)?.id).toBe(id);

      const reuse = new Map([["event_counters_of_all", pinAt(kernel, bed.pin("map"))]]);
      const second = await kernel.load({ ...toLoad("counters", "tracepoint:count_opens"), reuse });
      expect(second.maps.filter((map) => !map.internal)).toEqual([
        { name: "event_counters_of_all", id, internal: false, reused: true },
      ]);
      expect(kernel.program(idOf(second))?.mapIds).toContain(id);
      bed.unpin("map");
      expect(kernel.map(id)?.id).toBe(id);
      second.close();
      await gone(() => kernel.map(id));
    });

    test("rejects what is not there: a program, a pin to take over", async () => {
      const { kernel, pin } = makeBed();
      const code = async (...parameters: Parameters<typeof kernel.load>) =>
        (await failureOfAsync(() => kernel.load(...parameters))).code;
      expect(await code(toLoad("counters", "tcx:count_pakcets"))).toBe("FUNCTION_NOT_FOUND");
      const reuse = new Map([["event_counters_of_all", pinAt(kernel, pin("nothing"))]]);
      expect(await code({ ...toLoad("counters", "tcx:count_packets"), reuse })).toBe("STATE_CONFLICT");
    });

    test("a refusal by the verifier names the program and carries the log; nothing is left", async () => {
      const { kernel, held } = makeBed();
      const before = held();
      const failure = await failureOfAsync(() => kernel.load(toLoad("refused", "tcx:harmless", "tcx:reads_null")));
      expect(failure.code).toBe("VERIFIER_REJECTED");
      expect(failure.message).toStartWith('load program "reads_null": the verifier rejected it: R0 ');
      expect(failure.details).toMatchObject({ program: "reads_null" });
      expect(failure.verifierLog).toMatch(/^0: /);
      expect(failure.verifierLog).toMatch(/processed \d+ insns/);
      expect(held()).toEqual(before);
      const harmless = await kernel.load(toLoad("refused", "tcx:harmless"));
      harmless.close();
    });
  });

  describe("pins", () => {
    test("say what they hold, keep it open, and let it be pinned elsewhere", async () => {
      const bed = makeBed();
      const { kernel, pin, unpin } = bed;
      const loaded = await kernel.load(toLoad("counters", "tcx:count_packets"));
      loaded.pinProgram("count_packets", pin("program"));
      loaded.pinMap("event_counters_of_all", pin("map"));
      loaded.close();
      for (const [kind, id] of [
        ["program", idOf(loaded)],
        ["map", loaded.maps.find((map) => !map.internal)!.id],
      ] as const) {
        const handle = kernel.openPin(pin(kind))!;
        expect([handle.kind, handle.id]).toEqual([kind, id]);
        unpin(kind);
        expect(kernel.openPin(pin(kind))).toBeNull();
        expect((kind === "program" ? kernel.program(programId(id)) : kernel.map(mapId(id)))?.id).toBe(id);
        handle.pin(pin(`${kind}_again`));
        handle.close();
        handle.close();
        const again = kernel.openPin(pin(`${kind}_again`));
        expect(again?.id).toBe(id);
        again?.close();
      }
      unpin("program_again");
      await gone(() => kernel.program(idOf(loaded)));
      unpin("map_again");
    });

    test("are not written over", async () => {
      const bed = makeBed();
      await pinned(bed, "tcx:count_packets", "program");
      const loaded = await bed.kernel.load(toLoad("counters", "tcx:count_packets"));
      const over = () => loaded.pinProgram("count_packets", bed.pin("program"));
      expect(failureOf(over).code).toBe("STATE_CONFLICT");
      loaded.close();
      await gone(() => bed.kernel.program(idOf(loaded)));
    });
  });

  test("an id or a pin that is not there is null, and nothing to detach", () => {
    const { kernel, pin } = makeBed();
    expect(kernel.program(programId(NO_ID))).toBeNull();
    expect(kernel.map(mapId(NO_ID))).toBeNull();
    expect(kernel.link(kernelLinkId(NO_ID))).toBeNull();
    expect(kernel.openPin(pin("nothing"))).toBeNull();
    kernel.forceDetach(kernelLinkId(NO_ID));
  });

  test("a feature is there, or there is a reason", async () => {
    const { kernel } = makeBed();
    const { available, reason } = await kernel.feature("ext");
    expect(available).toBe(reason === null);
  });

  describe("attach to a cgroup", () => {
    async function loadAll(bed: Bed): Promise<ProgramId[]> {
      const names = ["first", "second", "third"];
      const loaded = await Promise.all(
        names.map((name) => pinnedFrom("cgroup", bed, `cgroup_sock_addr:${name}`, name)),
      );
      return loaded.map(idOf);
    }
    const attach = ({ kernel, pin, cgroup }: Bed, name: string, more: Partial<CgroupAttach> = {}) => {
      const target = { kind: "cgroup_sock_addr", ...cgroup(), anchor: LAST, revision: 0n, ...more } as const;
      return kernel.attach(pinAt(kernel, pin(name)), target);
    };
    const membersOf = ({ kernel, cgroup }: Bed) => kernel.cgroupState(cgroup()).members.map(({ program }) => program);

    test("appends, and the link says where it is", async () => {
      const bed = makeBed();
      const [first, second] = await loadAll(bed);
      const links = [attach(bed, "first"), attach(bed, "second")];
      const { members, revision } = bed.kernel.cgroupState(bed.cgroup());
      expect(members).toEqual([first!, second!].map((program) => ({ program, link: null })));
      expect(revision > 0n).toBe(ordersCgroups);
      expect(bed.kernel.link(links[0]!.id)).toMatchObject({
        ...{ programId: first, type: CGROUP, attachType: CGROUP_INET4_CONNECT },
        facts: { kind: "cgroup", cgroupId: BigInt(bed.cgroup().cgroupId) },
      });
      for (const link of links) link.close();
      await until(() => membersOf(bed).length === 0);
    });

    test.skipIf(!ordersCgroups)("puts one before or behind another, unless the cgroup has changed", async () => {
      const bed = makeBed();
      const programs = await loadAll(bed);
      const { revision } = bed.kernel.cgroupState(bed.cgroup());
      const link = attach(bed, "second", { revision });
      expect(failureOf(() => attach(bed, "first", { revision })).code).toBe("HOOK_CHANGED");
      const others = [
        attach(bed, "third", { anchor: { side: "after", link: link.id } }),
        attach(bed, "first", { anchor: { side: "before", link: link.id } }),
      ];
      expect(membersOf(bed)).toEqual(programs);
      for (const each of [link, ...others]) each.close();
      await gone(() => bed.kernel.link(link.id));
      const beside = { side: "after", link: link.id } as const;
      expect(failureOf(() => attach(bed, "first", { anchor: beside })).code).toBe("HOOK_CHANGED");
      await until(() => membersOf(bed).length === 0);
    });

    test("a removed cgroup takes nothing, and the link says that it is gone", async () => {
      const bed = makeBed();
      await loadAll(bed);
      const link = attach(bed, "first");
      bed.removeCgroup();
      await until(() => {
        const facts = bed.kernel.link(link.id)?.facts;
        return facts?.kind === "cgroup" && facts.cgroupId === 0n;
      });
      expect(failureOf(() => membersOf(bed)).code).toBe("CGROUP_NOT_FOUND");
      expect(failureOf(() => attach(bed, "second")).code).toBe("CGROUP_NOT_FOUND");
      link.close();
    });
  });

  describe("attach to a tracepoint", () => {
    test("the same program twice is ALREADY_ATTACHED, and once more after the first has gone", async () => {
      const bed = makeBed();
      const { kernel, pin } = bed;
      await pinned(bed, "tracepoint:count_opens", "program");
      const first = kernel.attach(pinAt(kernel, pin("program")), OPENAT);
      expect(failureOf(() => kernel.attach(pinAt(kernel, pin("program")), OPENAT)).code).toBe("ALREADY_ATTACHED");
      const elsewhere = kernel.attach(pinAt(kernel, pin("program")), {
        ...OPENAT,
        group: "sched",
        name: "sched_switch",
      });
      elsewhere.close();
      first.close();
      await gone(() => kernel.link(first.id));
      const again = kernel.attach(pinAt(kernel, pin("program")), OPENAT);
      again.close();
      await gone(() => kernel.link(again.id));
    });

    test("which is known by its name", () => {
      const { kernel } = makeBed();
      expect(kernel.tracepointExists("sched", "sched_switch")).toBe(true);
      expect(kernel.tracepointExists("sched", "sched_swich")).toBe(false);
      expect(kernel.tracepoints()).toContain("syscalls/sys_enter_openat");
    });

    test("a link goes with its handle unless it is pinned, and then with its pin", async () => {
      const bed = makeBed();
      const { kernel, pin, unpin } = bed;
      const loaded = await pinned(bed, "tracepoint:count_opens", "program");
      const first = kernel.attach(pinAt(kernel, pin("program")), OPENAT);
      expect(kernel.link(first.id)).toEqual({
        id: first.id,
        programId: idOf(loaded),
        type: PERF_EVENT,
        attachType: null,
        // Linux 6.6 and newer say it.
        facts: (kernel.link(first.id)?.facts ?? null) && { kind: "tracepoint", name: "sys_enter_openat", cookie: 0n },
      });
      first.close();
      first.close();
      await gone(() => kernel.link(first.id));

      const second = kernel.attach(pinAt(kernel, pin("program")), OPENAT);
      expect(second.id).not.toBe(first.id);
      second.pin(pin("link"));
      second.close();
      expect(kernel.link(second.id)?.id).toBe(second.id);
      const handle = kernel.openPin(pin("link"));
      expect([handle?.kind, handle?.id]).toEqual(["link", second.id]);
      handle?.close();
      // A link holds its program, which holds its maps.
      unpin("program");
      expect(kernel.program(idOf(loaded))).not.toBeNull();
      // Links of perf events cannot be taken off.
      kernel.forceDetach(second.id);
      expect(kernel.link(second.id)).not.toBeNull();
      unpin("link");
      await gone(() => kernel.link(second.id));
      await gone(() => kernel.program(idOf(loaded)));
    });

    test("rejects what does not fit", async () => {
      const bed = makeBed();
      const { kernel, pin } = bed;
      const loaded = await kernel.load(toLoad("counters", "tracepoint:count_opens", "tcx:count_packets"));
      loaded.pinProgram("count_opens", pin("program"));
      loaded.pinProgram("count_packets", pin("packets"));
      loaded.pinMap("event_counters_of_all", pin("map"));
      loaded.close();
      const code = (name: string, attach: Parameters<KernelPort["attach"]>[1]) =>
        failureOf(() => kernel.attach(pinAt(kernel, pin(name)), attach)).code;
      expect(code("nothing", OPENAT)).toBe("STATE_CONFLICT");
      const map = { ...pinAt(kernel, pin("map")), kind: "program" } as const;
      const packets = { ...pinAt(kernel, pin("packets")), path: pin("program") };
      for (const other of [map, packets]) {
        expect(failureOf(() => kernel.attach(other, OPENAT)).code).toBe("STATE_CONFLICT");
        expect(failureOf(() => kernel.openPin(other)).code).toBe("STATE_CONFLICT");
      }
      expect(code("packets", OPENAT)).toBe("ATTACH_FAILED");
      expect(code("program", { ...OPENAT, name: "sys_enter_opennat" })).toBe("TRACEPOINT_NOT_FOUND");
    });
  });

  const tcx = hasTcx ? describe : describe.skip;
  tcx(hasTcx ? "TCX" : "TCX (skipped: this kernel has none)", () => {
    const attach = (
      { kernel, pin, hook }: Bed,
      name: string,
      { anchor = LAST, direction = "ingress" as TcHook["direction"] } = {},
    ): AttachedLink => {
      const place = hook(direction);
      const { revision } = kernel.tcxState(place);
      return kernel.attach(pinAt(kernel, pin(name)), { kind: "tcx", ...place, anchor, revision });
    };

    test("a hook that nobody uses is empty and has revision 1, and has it again when all have left", async () => {
      const bed = makeBed();
      const state = () => bed.kernel.tcxState(bed.hook());
      expect(state()).toEqual({ revision: 1n, members: [] });
      await pinned(bed, "tcx:count_packets", "program");
      const link = attach(bed, "program");
      expect(state().revision).toBeGreaterThan(1n);
      link.close();
      await until(() => state().members.length === 0);
      expect(state().revision).toBe(1n);
    });

    test.each(["ingress", "egress"] as const)("a link on %s, by id, by pin, and on the hook", async (direction) => {
      const bed = makeBed();
      const { kernel, pin, unpin } = bed;
      const program = idOf(await pinned(bed, "tcx:count_packets", "program"));
      const link = attach(bed, "program", { direction });
      expect(kernel.link(link.id)).toEqual({
        id: link.id,
        programId: program,
        type: TCX,
        attachType: direction === "ingress" ? TCX_INGRESS : TCX_EGRESS,
        facts: { kind: "tcx", ifindex: bed.hook(direction).ifindex },
      });
      const members = (on: TcHook["direction"]) => kernel.tcxState(bed.hook(on)).members;
      expect(members(direction)).toEqual([{ program, link: link.id }]);
      expect(members(direction === "ingress" ? "egress" : "ingress")).toEqual([]);
      link.pin(pin("link"));
      link.close();
      expect(members(direction)).toHaveLength(1);
      unpin("link");
      await gone(() => kernel.link(link.id));
      await until(() => members(direction).length === 0);
    });

    test("members are where their anchors say, and each change increases the revision", async () => {
      const bed = makeBed();
      const ids: ProgramId[] = [];
      for (const name of ["a", "b", "c", "d"]) ids.push(idOf(await pinned(bed, "tcx:count_packets", name)));
      const [a, b, c, d] = ids;
      const revisions: bigint[] = [];
      const note = <T>(value: T): T => {
        revisions.push(bed.kernel.tcxState(bed.hook()).revision);
        return value;
      };
      note(null);
      const first = note(attach(bed, "a"));
      const second = note(attach(bed, "b", { anchor: { side: "before", link: first.id } }));
      const third = note(attach(bed, "c", { anchor: { side: "after", link: second.id } }));
      const fourth = note(attach(bed, "d"));
      const order = () => bed.kernel.tcxState(bed.hook()).members.map(({ program }) => program);
      expect(order()).toEqual([b!, c!, a!, d!]);
      third.close();
      await until(() => order().length === 3);
      note(null);
      expect(order()).toEqual([b!, a!, d!]);
      expect(revisions).toEqual(revisions.toSorted((x, y) => Number(x - y)));
      expect(new Set(revisions).size).toBe(revisions.length);
      for (const link of [first, second, fourth]) link.close();
      await until(() => order().length === 0);
    });

    test("an old revision, or a neighbour that has gone, is HOOK_CHANGED, and the hook stays as it is", async () => {
      const bed = makeBed();
      const { kernel, pin } = bed;
      await pinned(bed, "tcx:count_packets", "a");
      await pinned(bed, "tcx:count_packets", "b");
      const { revision } = kernel.tcxState(bed.hook());
      const first = attach(bed, "a");
      const late = { kind: "tcx", ...bed.hook(), anchor: LAST, revision } as const;
      expect(failureOf(() => kernel.attach(pinAt(kernel, pin("b")), late)).code).toBe("HOOK_CHANGED");
      expect(kernel.tcxState(bed.hook()).members).toHaveLength(1);
      first.close();
      await gone(() => kernel.link(first.id));
      const beside = { side: "after", link: first.id } as const;
      expect(failureOf(() => attach(bed, "b", { anchor: beside })).code).toBe("HOOK_CHANGED");
      expect(kernel.tcxState(bed.hook()).members).toEqual([]);
    });

    test("the same program twice, another type, a missing pin or interface, a full hook", async () => {
      const bed = makeBed();
      const { kernel, pin } = bed;
      await pinned(bed, "tcx:count_packets", "a");
      await pinned(bed, "tracepoint:count_opens", "opens");
      const link = attach(bed, "a");
      expect(failureOf(() => attach(bed, "a")).code).toBe("ALREADY_ATTACHED");
      expect(failureOf(() => attach(bed, "opens")).code).toBe("ATTACH_FAILED");
      expect(failureOf(() => attach(bed, "nothing")).code).toBe("STATE_CONFLICT");
      expect(kernel.tcxState(bed.hook()).members).toHaveLength(1);
      const nowhere = { ...bed.hook(), ifindex: NO_INTERFACE };
      expect(failureOf(() => kernel.tcxState(nowhere)).code).toBe("INTERFACE_NOT_FOUND");
      const there = { kind: "tcx", ...nowhere, anchor: LAST, revision: 1n } as const;
      expect(failureOf(() => kernel.attach(pinAt(kernel, pin("a")), there)).code).toBe("INTERFACE_NOT_FOUND");

      const links = [link];
      for (let each = 1; each < HOOK_MEMBERS_MAX; each++) {
        await pinned(bed, "tcx:drop_packets", `p${each}`);
        links.push(attach(bed, `p${each}`));
      }
      await pinned(bed, "tcx:drop_packets", "too_many");
      const full = failureOf(() => attach(bed, "too_many"));
      expect([full.code, full.message]).toEqual(["ATTACH_FAILED", expect.stringContaining("the hook is full")]);
      for (const each of links) each.close();
      await until(() => kernel.tcxState(bed.hook()).members.length === 0);
    });

    test("forceDetach takes a link off at once, though pin and handle still hold it", async () => {
      const bed = makeBed();
      const { kernel, pin, unpin } = bed;
      const program = idOf(await pinned(bed, "tcx:count_packets", "program"));
      const link = attach(bed, "program");
      link.pin(pin("link"));
      kernel.forceDetach(link.id);
      expect(kernel.tcxState(bed.hook()).members).toEqual([]);
      expect(kernel.link(link.id)).toMatchObject({ id: link.id, programId: program });
      kernel.forceDetach(link.id);
      // The place is free for the same program.
      const next = attach(bed, "program");
      expect(kernel.tcxState(bed.hook()).members).toEqual([{ program, link: next.id }]);
      next.close();
      link.close();
      unpin("link");
      await gone(() => kernel.link(link.id));
      await until(() => kernel.tcxState(bed.hook()).members.length === 0);
    });
  });

  if (!hasTcx) {
    test("a kernel without TCX says so", async () => {
      const bed = makeBed();
      await pinned(bed, "tcx:count_packets", "program");
      expect(failureOf(() => bed.kernel.tcxState(bed.hook())).code).toBe("KERNEL_UNSUPPORTED");
      const attach = { kind: "tcx", ...bed.hook(), anchor: LAST, revision: 1n } as const;
      expect(failureOf(() => bed.kernel.attach(pinAt(bed.kernel, bed.pin("program")), attach)).code).toBe(
        "KERNEL_UNSUPPORTED",
      );
    });
  }
}
