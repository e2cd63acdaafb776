/** A kernel in memory, with pins, reference counting and TCX hooks: what the service can see of the real one. */
import { ATTACH_TYPE, PROG_TYPE } from "../../ffi/layout/generated.ts";
import type { XdpMode } from "../../src/domain/config.ts";
import { type KernelLinkId, kernelLinkId, type MapId, mapId, type ProgramId, programId } from "../../src/domain/ids.ts";
import type { ObjectMap } from "../../src/domain/object-file.ts";
import type { Pin, PinnedKind } from "../../src/domain/pin.ts";
import { anotherObject } from "../../src/errors/another-object.ts";
import { type ProgramType, KINDS } from "../../src/domain/kinds.ts";
import { type CgroupHook, NETFILTER_HOOKS, NETFILTER_PROTOCOLS } from "../../src/domain/link.ts";
import { BpfmanError } from "../../src/errors/error.ts";
import { readObject } from "../../src/object/object-file.ts";
import { usedMaps } from "./used-maps.ts";
import type { FilterRef } from "../../src/domain/dispatcher.ts";
import type {
  AttachedLink,
  DispatcherToLoad,
  InterfaceHook,
  IteratorOutput,
  LoadedDispatcher,
  TcHook,
  XdpHolder,
  Feature,
  FeatureName,
  KernelAttach,
  KernelFunction,
  KernelLink,
  KernelMap,
  KernelPort,
  KernelProgram,
  LoadedMap,
  LoadedObject,
  ObjectToLoad,
  ObjectToVerify,
  PinnedHandle,
  PinnedId,
  ProgramToLoad,
  ProgramRuns,
  ProgramWatch,
  RunCounts,
  SlotMember,
  HookState,
  TwinToLoad,
  Verification,
  WatchedRuns,
  MapOpener,
} from "../../src/platform/kernel.ts";

type Kind = PinnedKind;
interface Ref {
  readonly kind: Kind;
  readonly id: number;
}

const kernelTypeOf = (type: ProgramType): number => PROG_TYPE[KINDS[type].programType];
const EXTENSION = 28;
/** BPF_MPROG_MAX - 1 (kernel/bpf/mprog.c). */
const HOOK_MEMBERS_MAX = 63;

/** BPF_LINK_TYPE_* and BPF_* attach type of the link that an attach makes (include/uapi/linux/bpf.h). */
function linkTypeOf(attach: KernelAttach): Pick<KernelLink, "type" | "attachType" | "facts"> {
  if ("cgroupId" in attach) {
    const facts = { kind: "cgroup", cgroupId: BigInt(attach.cgroupId) } as const;
    return { type: 3, attachType: ATTACH_TYPE[attach.attachType], facts };
  }
  switch (attach.kind) {
    case "sk_lookup":
      return { type: 5, attachType: ATTACH_TYPE.SK_LOOKUP, facts: { kind: "netns", inode: 4026531840 } };
    case "netfilter": {
      const { protocol, hook, priority, defrag } = attach;
      const numbers = { protocol: NETFILTER_PROTOCOLS[protocol], hook: NETFILTER_HOOKS[hook] };
      return { type: 10, attachType: null, facts: { kind: "netfilter", ...numbers, priority, flags: defrag ? 1 : 0 } };
    }
    case "tcx": {
      const { ifindex, direction } = attach;
      return { type: 11, attachType: direction === "ingress" ? 46 : 47, facts: { kind: "tcx", ifindex } };
    }
    case "fentry":
      return { type: 2, attachType: 24, facts: FUNCTION };
    case "fexit":
      return { type: 2, attachType: 25, facts: FUNCTION };
    case "lsm":
      return { type: 2, attachType: 27, facts: FUNCTION };
    case "tracepoint":
      return { type: 7, attachType: null, facts: { kind: "tracepoint", name: attach.name, cookie: 0n } };
    case "fmod_ret":
      return { type: 2, attachType: 26, facts: FUNCTION };
    case "freplace":
      return {
        type: 2,
        attachType: null,
        facts: { kind: "tracing", targetObjectId: attach.target.id, targetBtfId: 7, cookie: 0n },
      };
    case "tp_btf":
      return { type: 1, attachType: null, facts: { kind: "raw_tp", name: "sched_switch", cookie: 0n } };
    case "iter": {
      const { kind, target, mapId } = attach;
      return { type: 4, attachType: null, facts: { kind, target, mapId } };
    }
    case "kprobe.multi":
    case "kretprobe.multi": {
      const facts = { count: attach.functions.length, atReturn: attach.kind === "kretprobe.multi", missed: 0n };
      return { type: 8, attachType: null, facts: { kind: "kprobe.multi", ...facts } };
    }
    case "uprobe.multi":
    case "uretprobe.multi": {
      const facts = { file: attach.path, count: attach.offsets.length, atReturn: attach.kind === "uretprobe.multi" };
      return { type: 12, attachType: null, facts: { kind: "uprobe.multi", ...facts } };
    }
    case "perf_event":
      return { type: 7, attachType: null, facts: { kind: "event", type: 1, config: 2n, cookie: 0n } };
    case "raw_tp":
      return { type: 1, attachType: null, facts: { kind: "raw_tp", name: attach.name, cookie: 0n } };
    case "uprobe":
    case "uretprobe": {
      const { kind, path: file, fileOffset: offset } = attach;
      return { type: 7, attachType: null, facts: { kind, file, offset, cookie: 0n } };
    }
    case "kprobe":
    case "kretprobe": {
      const { kind, fnName: functionName, offset } = attach;
      const facts = { kind, functionName, offset, address: 0xffff_ffff_8123_4567n, missed: 0n, cookie: 0n };
      return { type: 7, attachType: null, facts };
    }
  }
}
/** What a link to a function of the kernel says. */
const FUNCTION = { kind: "tracing", targetObjectId: 1, targetBtfId: 4711, cookie: 0n } as const;

const LINK_TRACING = 2;
const LINK_XDP = 6;

const gone = () => new BpfmanError("INTERFACE_NOT_FOUND", "the interface is gone");
const xdpName = (hook: InterfaceHook): string => `xdp:${hook.netns}:${hook.ifindex}`;
const filterName = (hook: TcHook, filter: FilterRef): string => `${hookName(hook)}:${filter.priority}:${filter.handle}`;
/** A program of which nothing matters but that it is there. */
const TRIVIAL: KernelProgram = {
  id: programId(0),
  name: "",
  type: 0,
  tag: "0123456789abcdef",
  loadedAt: new Date(0),
  uid: 0,
  btfId: 7,
  mapIds: [],
  gplCompatible: true,
  jitedSize: 64,
  xlatedSize: 128,
  verifiedInstructions: 10,
  memlock: 4096,
  runTimeNs: 0,
  runCount: 0,
  recursionMisses: 0,
  restricted: false,
};

export const kernelFunction = (name: string, parts: Partial<KernelFunction> = {}): KernelFunction => ({
  ...{ name, module: null, address: 0xffff_ffff_8100_0000n, size: null },
  ...parts,
});

const hookName = (hook: TcHook): string => `${hook.netns}:${hook.ifindex}:${hook.direction}`;
const cgroupName = (hook: CgroupHook): string => `cgroup:${hook.cgroupId}:${hook.attachType}`;

/** The hook of an attach whose links have an order; null for others. */
const orderedName = (attach: KernelAttach): string | null =>
  attach.kind === "tcx" ? hookName(attach) : "cgroupId" in attach ? cgroupName(attach) : null;

const tracepointName = (attach: KernelAttach): string | null =>
  attach.kind === "tracepoint" ? `tracepoint ${attach.group}/${attach.name}` : null;

type OrderedAttach = Extract<KernelAttach, { anchor: unknown }>;

const PROCESSED = "processed 9 insns (limit 1000000) max_states_per_insn 1 total_states 2 peak_states 3 mark_read 1\n";

export class FakeKernel implements KernelPort {
  ext = false;
  /** XDP and TC programs are loaded as an earlier version did. */
  extensionsOnly = false;
  /** Names of programs of which the verifier takes no twin. */
  readonly refusedTwins = new Set<string>();
  /** How many twins were made. */
  twinsMade = 0;
  tcx = true;
  /** Interfaces count from 1 to here. */
  interfacesMax = 1000;
  knownTracepoints = ["sched/sched_switch", "sched/sched_wakeup", "syscalls/sys_enter_openat"];
  functions = new Map([
    ["do_unlinkat", [kernelFunction("do_unlinkat", { size: 100 })]],
    ["do_sys_open", [kernelFunction("do_sys_open")]],
  ]);
  /** Cgroups by the paths of their directories. */
  readonly knownCgroups = new Map([
    ["/sys/fs/cgroup", 1],
    ["/sys/fs/cgroup/system.slice", 42],
    ["/sys/fs/cgroup/system.slice/web.service", 4711],
  ]);
  /** Programs can be placed between those of a cgroup (Linux 6.17). */
  cgroupOrder = true;
  lsm = true;
  counting = true;
  /** What the kernel has counted of a program, at each reading. */
  readonly runs = new Map<number, () => RunCounts>();
  /** The same of a program that is watched. */
  readonly watched = new Map<number, () => WatchedRuns>();
  countingRefused: BpfmanError | null = null;
  watchRefused: BpfmanError | null = null;
  /** What is open: counting of all programs, and watches of single ones. */
  readonly open = { counting: 0, watches: 0 };
  xdpInDriver = true;
  /** Interfaces that were deleted. */
  readonly goneInterfaces = new Set<number>();
  /** Configuration bytes of each dispatcher that was loaded. */
  readonly configs = new Map<ProgramId, Uint8Array>();
  /** Names of programs that the verifier refuses. */
  refused = new Set<string>();
  /** Called before each TCX attach: a test changes the hook here. */
  beforeAttach: () => void = () => {};
  /** What was to be attached where, in order. */
  readonly attached: KernelAttach[] = [];
  readonly pins = new Map<string, Ref>();
  readonly #programs = new Map<number, KernelProgram>();
  readonly #maps = new Map<number, KernelMap>();
  readonly #links = new Map<number, KernelLink & { readonly hook: string | null }>();
  readonly #hooks = new Map<
    string,
    { revision: bigint; members: { program: ProgramId; link: KernelLinkId | null }[] }
  >();
  readonly #filters = new Map<string, ProgramId>();
  readonly #twinOf = new Map<number, ProgramId>();
  readonly #open = new Set<Ref>();
  #nextProgram = 100;
  #nextMap = 500;
  #nextLink = 900;

  /** Everything is available but `ext` where a test switches it off. */
  feature = async (name: FeatureName): Promise<Feature> =>
    name === "ext" && !this.ext ? { available: false, reason: "EPERM" } : { available: true, reason: null };

  release = (): string => "6.18.0";

  /** Every instruction is verified once; programs of `refused` are refused. */
  async verify(object: ObjectToVerify): Promise<readonly Verification[] | null> {
    const programs = object.programs.map((program) => ({ ...program, type: "tc" }) as const);
    try {
      (await this.load({ ...object, programs, alongside: [], reuse: new Map() })).close();
      return programs.map(({ name }) => {
        const statistics = `verification time 5 usec\nstack depth 8+16\n${this.processed.get(name) ?? PROCESSED}`;
        return { type: 3, refusal: null, statistics, jitedSize: 100 };
      });
    } catch (refusal) {
      if (!(refusal instanceof BpfmanError)) throw refusal;
      return programs.length > 1 ? null : [{ type: 3, refusal, statistics: "", jitedSize: null }];
    }
  }
  /** The last line of the statistics, by program. */
  readonly processed = new Map<string, string>();

  async load(object: ObjectToLoad): Promise<LoadedObject> {
    const file = readObject(object.bytes);
    const refused = object.programs.find((program) => this.refused.has(program.name));
    if (refused) {
      throw new BpfmanError(
        "VERIFIER_REJECTED",
        `load program "${refused.name}": the verifier rejected it: R0 !read_ok`,
        {
          details: { object: object.name, program: refused.name, libbpf: [] },
          verifierLog: "0: (95) exit\nR0 !read_ok\nprocessed 1 insns",
        },
      );
    }
    const unknown = object.programs.find(({ name }) => file.programs.every((program) => program.name !== name));
    if (unknown) {
      throw new BpfmanError(
        "FUNCTION_NOT_FOUND",
        `load object "${object.name}": libbpf finds no program "${unknown.name}" in it`,
      );
    }
    const used = usedMaps(object.bytes);
    const isUsed = (map: string) =>
      [...object.programs, ...object.alongside].some(({ name }) => used.get(name)?.has(map));
    const maps: LoadedMap[] = file.maps
      .filter((map) => !object.unusedMaps?.has(map.name))
      .map((map) => {
        const there = object.reuse.get(map.name);
        if (there === undefined) {
          const maxEntries = object.maxEntries?.get(map.name) ?? map.maxEntries;
          return { name: map.name, id: this.#createMap({ ...map, maxEntries }), internal: false, reused: false };
        }
        const ref = there.path === null ? there : this.#behind({ ...there, path: there.path });
        return { name: map.name, id: mapId(ref.id), internal: false, reused: true };
      });
    for (const section of new Set(file.globals.map((global) => global.section).filter(isUsed))) {
      const shape = {
        name: section,
        type: 2,
        keySize: 4,
        valueSize: 8,
        maxEntries: 1,
        flags: 0,
        extra: 0,
        pinByName: false,
        inner: null,
      };
      maps.push({ name: section, id: this.#createMap(shape), internal: true, reused: false });
    }
    const load = ({ name, type }: ProgramToLoad) => {
      const id = programId(this.#nextProgram++);
      const kernel: KernelProgram = {
        ...TRIVIAL,
        id,
        name: name.slice(0, 15),
        type: this.extensionsOnly ? EXTENSION : kernelTypeOf(type),
        mapIds: maps.filter((map) => used.get(name)?.has(map.name)).map((map) => map.id),
      };
      this.#programs.set(id, kernel);
      return { name, kernel };
    };
    const programs = object.programs.map(load);
    const alongside = object.alongside.map(load);
    const refs: Ref[] = [
      ...programs.map((program) => this.#hold("program", program.kernel.id)),
      ...maps.map((map) => this.#hold("map", map.id)),
    ];
    return {
      programs,
      alongside,
      maps,
      pinProgram: (name, path) => this.#pin(path, "program", programs.find((entry) => entry.name === name)?.kernel.id),
      pinMap: (name, path) => this.#pin(path, "map", maps.find((map) => map.name === name)?.id),
      close: () => this.#release(refs),
    };
  }

  programIds = () => [...this.#programs.keys()].map(programId);
  program = (id: ProgramId) => this.#programs.get(id) ?? null;
  map = (id: MapId) => this.#maps.get(id) ?? null;
  linkIds = () => [...this.#links.keys()].map(kernelLinkId);
  mapIds = () => [...this.#maps.keys()].map(mapId);
  openMap: MapOpener = () => null;
  mapOpener: KernelPort["mapOpener"] = async () => this.openMap;
  openEvents = () => null;
  openTrace = (): never => {
    throw new BpfmanError("TRACEFS_UNAVAILABLE", "the fake kernel has no trace");
  };
  programBtf = () => null;
  mapContent = (id: MapId) => (this.#maps.has(id) ? { inner: null, types: null } : null);
  firstValue(id: MapId): Uint8Array | null {
    const program = [...this.#programs.values()].find(({ mapIds }) => mapIds.includes(id));
    return (program && this.configs.get(program.id)) ?? null;
  }
  link(id: KernelLinkId): KernelLink | null {
    const found = this.#links.get(id);
    if (found === undefined) return null;
    const { hook: _, ...link } = found;
    const { facts } = link;
    const isGone = (facts?.kind === "xdp" || facts?.kind === "tcx") && this.goneInterfaces.has(facts.ifindex);
    return isGone ? { ...link, facts: { ...facts, ifindex: 0 } } : link;
  }
  countsRuns = () => this.counting;
  countRuns() {
    if (this.countingRefused !== null) throw this.countingRefused;
    this.open.counting++;
    return { close: () => void this.open.counting-- };
  }
  programRuns(id: ProgramId): ProgramRuns | null {
    const program = this.#programs.get(id);
    if (program === undefined) return null;
    const counts = this.runs.get(id)?.() ?? { runs: program.runCount, timeNs: program.runTimeNs };
    return { ...program, ...counts };
  }
  watchProgram(id: ProgramId): Promise<ProgramWatch | null> {
    if (this.watchRefused !== null) return Promise.reject(this.watchRefused);
    if (!this.#programs.has(id)) return Promise.resolve(null);
    this.open.watches++;
    const nothing: WatchedRuns = { runs: 0, timeNs: 0, verdicts: new Map() };
    return Promise.resolve({
      programs: [],
      read: () => this.watched.get(id)?.() ?? nothing,
      close: () => void this.open.watches--,
    });
  }
  tracepoints = () => this.knownTracepoints;
  /** What the programs of iterators write, in the parts in which it is read. */
  iterated: readonly string[] = ["pid name\n", "", "1 init\n"];
  openIterator(link: Pin): IteratorOutput {
    this.#behind(link);
    const parts = this.iterated.values();
    return {
      read: () => {
        const { value } = parts.next();
        return value === undefined ? null : Buffer.from(value);
      },
      close: () => {},
    };
  }
  rawTracepoints = () => this.knownTracepoints.map((name) => name.slice(name.indexOf("/") + 1));
  wholeName = ({ name }: { readonly name: string }) => name;
  functionsNamed = (name: string) => this.functions.get(name) ?? [];
  functionsAt = (address: bigint) => [...this.functions.values()].flat().filter((each) => each.address === address);
  kernelFunctions = () => this.functions.keys();
  traceableFunctions = () => this.functions.keys();
  lsmActive = () => this.lsm;
  cgroup(path: string): Omit<CgroupHook, "attachType"> {
    const cgroupId = this.knownCgroups.get(path);
    if (cgroupId !== undefined) return { cgroup: path, cgroupId };
    throw new BpfmanError("CGROUP_NOT_FOUND", `open cgroup "${path}": there is no such directory`);
  }
  cgroups = (prefix: string) => [...this.knownCgroups.keys()].filter((path) => path.startsWith(prefix));
  cgroupState(hook: CgroupHook): HookState {
    this.cgroup(hook.cgroup);
    const { revision = 1n, members = [] } = this.#hooks.get(cgroupName(hook)) ?? {};
    return {
      revision: this.cgroupOrder ? revision : 0n,
      members: members.map(({ program }) => ({ program, link: null })),
    };
  }
  /** What rmdir does: the kernel takes the programs off. */
  removeCgroup(path: string): void {
    const { cgroupId } = this.cgroup(path);
    this.knownCgroups.delete(path);
    for (const [id, link] of this.#links) {
      if (link.facts?.kind !== "cgroup" || link.facts.cgroupId !== BigInt(cgroupId)) continue;
      this.#leave(link.id);
      this.#links.set(id, { ...link, facts: { kind: "cgroup", cgroupId: 0n } });
    }
  }
  tracepointExists = (group: string, name: string) => this.knownTracepoints.includes(`${group}/${name}`);

  openPin(pin: string | Pin): PinnedHandle | null {
    const ref = this.pins.get(typeof pin === "string" ? pin : pin.path);
    if (!ref) return null;
    if (typeof pin !== "string") this.#behind(pin);
    return this.#handleOf(ref);
  }

  openObject(object: PinnedId): PinnedHandle | null {
    const of = { program: this.#programs, map: this.#maps, link: this.#links };
    return of[object.kind].has(object.id) ? this.#handleOf(object) : null;
  }

  #handleOf(ref: Ref): PinnedHandle {
    const held = this.#hold(ref.kind, ref.id);
    return {
      ...(ref as PinnedId),
      pin: (where) => this.#pin(where, ref.kind, ref.id),
      detach: () => this.#leave(ref.id as KernelLinkId),
      close: () => this.#release([held]),
    };
  }

  attach(pinned: Pin, attach: KernelAttach): AttachedLink {
    this.attached.push(attach);
    if ("cgroupId" in attach) this.cgroup(attach.cgroup);
    const ref = this.#behind(pinned);
    if (attach.kind === "tracepoint" && !this.tracepointExists(attach.group, attach.name)) {
      throw new BpfmanError("TRACEPOINT_NOT_FOUND", `attach to tracepoint "${attach.group}/${attach.name}": not there`);
    }
    if (attach.kind === "tcx") this.#requireHook(attach);
    if (this.#programs.get(ref.id)?.type !== kernelTypeOf(attach.kind)) {
      throw new BpfmanError("ATTACH_FAILED", `attach: program ${ref.id} is of another type`);
    }
    const ordered = orderedName(attach);
    if (ordered !== null) this.beforeAttach();
    const id = kernelLinkId(this.#nextLink++);
    const program = programId(ref.id);
    const hook = ordered ?? tracepointName(attach);
    if (ordered !== null) this.#join(ordered, attach as OrderedAttach, { program, link: id });
    if (attach.kind === "tracepoint") this.#requireNew(program, hook);
    this.#links.set(id, { id, programId: program, ...linkTypeOf(attach), hook });
    const held = this.#hold("link", id);
    return { id, pin: (path) => this.#pin(path, "link", id), close: () => this.#release([held]) };
  }

  tcxState(hook: TcHook): HookState {
    this.#requireHook(hook);
    const state = this.#hooks.get(hookName(hook));
    return { revision: state?.revision ?? 1n, members: [...(state?.members ?? [])] };
  }

  #requireHook(hook: TcHook): void {
    if (hook.ifindex > this.interfacesMax) {
      throw new BpfmanError("INTERFACE_NOT_FOUND", `interface ${hook.ifindex}: there is no such interface`);
    }
    if (!this.tcx) throw new BpfmanError("KERNEL_UNSUPPORTED", "TCX needs Linux 6.6 or newer");
  }

  forceDetach(id: KernelLinkId): void {
    this.#leave(id);
  }

  async loadDispatcher(dispatcher: DispatcherToLoad): Promise<LoadedDispatcher> {
    const program = programId(this.#nextProgram++);
    const type = dispatcher.hook === "xdp" ? 6 : 3;
    const { length } = dispatcher.config;
    const rodata = this.#createMap({
      name: ".rodata",
      type: 2,
      keySize: 4,
      valueSize: length,
      maxEntries: 1,
      flags: 0,
    });
    const name = `${dispatcher.hook}_dispatcher`;
    this.#programs.set(program, { ...TRIVIAL, id: program, name, type, mapIds: [rodata] });
    const refs = [this.#hold("program", program)];
    this.configs.set(program, dispatcher.config);
    const twins = new Map<TwinToLoad, Ref>();
    const extensionOf = (member: SlotMember): Ref => {
      if ("extension" in member) return this.#behind(member.extension);
      const made = twins.get(member.twin) ?? this.#makeTwin(member.twin);
      if (!twins.has(member.twin)) refs.push(made);
      twins.set(member.twin, made);
      return made;
    };
    const extensions = this.#orRelease(refs, () => dispatcher.members.map(extensionOf));
    const links = extensions.map((member) => {
      const id = kernelLinkId(this.#nextLink++);
      const facts = { ...FUNCTION, targetObjectId: program };
      const about = { programId: programId(member.id), type: LINK_TRACING, attachType: null, facts };
      this.#links.set(id, { id, ...about, hook: null });
      refs.push(this.#hold("link", id));
      return id;
    });
    return {
      program,
      links,
      extensions: extensions.map(({ id }) => programId(id)),
      pinProgram: (path) => this.#pin(path, "program", program),
      pinLink: (slot, path) => this.#pin(path, "link", links[slot]),
      pinExtension: (slot, path) => this.#pin(path, "program", extensions[slot]?.id),
      close: () => this.#release(refs),
    };
  }

  #orRelease<T>(refs: readonly Ref[], work: () => T): T {
    try {
      return work();
    } catch (thrown) {
      this.#release(refs);
      throw thrown;
    }
  }

  #makeTwin({ name, program, maps }: TwinToLoad): Ref {
    this.#behind(program);
    if (this.refusedTwins.has(name)) {
      throw new BpfmanError("VERIFIER_REJECTED", `load program "${name}": the verifier refused it: no`, {
        details: { object: name, program: name, libbpf: [] },
      });
    }
    this.twinsMade++;
    const id = programId(this.#nextProgram++);
    const kernel: KernelProgram = {
      ...TRIVIAL,
      id,
      name: name.slice(0, 15),
      type: EXTENSION,
      mapIds: [...maps.values()],
    };
    this.#programs.set(id, kernel);
    this.#twinOf.set(id, programId(program.id));
    return this.#hold("program", id);
  }

  waitForRunningPrograms(): void {}

  xdpHolder(hook: InterfaceHook): XdpHolder | null {
    const link = [...this.#links.values()].find((each) => each.hook === xdpName(hook));
    return link ? { program: link.programId, link: link.id, mode: "drv" } : null;
  }

  attachXdp(program: Pin, hook: InterfaceHook & { readonly mode: XdpMode }): AttachedLink {
    this.#requireInterface(hook);
    if (hook.mode === "drv" && !this.xdpInDriver) throw new BpfmanError("KERNEL_UNSUPPORTED", "no XDP in the driver");
    if (this.xdpHolder(hook)) throw new BpfmanError("HOOK_BUSY", "somebody holds the XDP hook");
    const ref = this.#behind(program);
    const id = kernelLinkId(this.#nextLink++);
    const facts = { kind: "xdp", ifindex: hook.ifindex } as const;
    const about = { programId: programId(ref.id), type: LINK_XDP, attachType: 37, facts };
    this.#links.set(id, { id, ...about, hook: xdpName(hook) });
    const held = this.#hold("link", id);
    return { id, pin: (path) => this.#pin(path, "link", id), close: () => this.#release([held]) };
  }

  swapProgram(pinned: Pin, programs: { readonly old: Pin | ProgramId; readonly next: Pin }): void {
    const link = this.#links.get(this.#behind(pinned).id);
    const next = this.#behind(programs.next);
    const old = typeof programs.old === "number" ? programs.old : this.#behind(programs.old).id;
    if (!link) throw new BpfmanError("STATE_CONFLICT", "the link has gone");
    if (this.goneInterfaces.has(Number(link.hook?.split(":").at(-1)))) throw gone();
    if (link.programId !== old) throw new BpfmanError("STATE_CONFLICT", "the link runs another program");
    this.#links.set(link.id, { ...link, programId: programId(next.id) });
  }

  attachTc(program: Pin, hook: TcHook, filter: FilterRef): void {
    this.#requireInterface(hook);
    if (this.#filters.has(filterName(hook, filter))) throw new BpfmanError("HOOK_BUSY", "there is such a filter");
    this.replaceTc(program, hook, filter);
  }

  replaceTc(program: Pin, hook: TcHook, filter: FilterRef): void {
    this.#requireInterface(hook);
    const ref = this.#behind(program);
    this.#filters.set(filterName(hook, filter), programId(ref.id));
  }

  tcFilterProgram = (hook: TcHook, filter: FilterRef) => this.#filters.get(filterName(hook, filter)) ?? null;

  hasTcFilterBehind = (hook: TcHook, { priority, handle }: FilterRef): boolean =>
    [...this.#filters.keys()].some((name) => {
      if (!name.startsWith(`${hookName(hook)}:`)) return false;
      const [its = 0, number = 0] = name.split(":").slice(-2).map(Number);
      return its > priority || (its === priority && number !== handle);
    });

  detachTc(hook: TcHook, filter: FilterRef): boolean {
    const was = this.#filters.delete(filterName(hook, filter));
    this.sweep();
    return was;
  }

  /** What somebody else does: a filter of their own. */
  addForeignFilter(hook: TcHook, filter: FilterRef, program: number): void {
    this.#filters.set(filterName(hook, filter), programId(program));
  }

  /** What happens to filters when their interface goes. */
  forgetFilters(): void {
    this.#filters.clear();
  }

  /** The chain that runs on a hook, as the programs whose twins are in its slots. */
  chainOn(hook: InterfaceHook | TcHook): ProgramId[] {
    const program =
      "direction" in hook
        ? [...this.#filters].find(([name]) => name.startsWith(hookName(hook)))?.[1]
        : this.xdpHolder(hook)?.program;
    if (program === undefined) return [];
    const pin = [...this.pins].find(([, ref]) => ref.kind === "program" && ref.id === program)?.[0] ?? "";
    if (!pin.endsWith("/dispatcher")) return [program];
    const directory = pin.slice(0, -"dispatcher".length);
    const slots = [...this.pins].filter(([path, ref]) => ref.kind === "link" && path.startsWith(`${directory}link_`));
    const bySlot = slots.sort(([a], [b]) => Number(a.split("_").at(-1)) - Number(b.split("_").at(-1)));
    return bySlot.map(([, ref]) => {
      const program = this.#links.get(ref.id)?.programId as ProgramId;
      return this.#twinOf.get(program) ?? program;
    });
  }

  #requireInterface(hook: InterfaceHook): void {
    if (this.goneInterfaces.has(hook.ifindex)) throw gone();
  }

  /** What somebody else does: puts a program on a hook without a link, at its end. */
  joinForeign(hook: TcHook | CgroupHook, program: number): void {
    const state = this.#hook("cgroupId" in hook ? cgroupName(hook) : hookName(hook));
    state.members.push({ program: programId(program), link: null });
    state.revision += 1n;
  }

  /** Drops what nothing refers to; called by whoever removes a pin. */
  sweep(): void {
    const live = new Set<string>();
    const mark = (kind: Kind, id: number): void => {
      if (live.has(`${kind}:${id}`)) return;
      live.add(`${kind}:${id}`);
      const link = kind === "link" ? this.#links.get(id) : undefined;
      if (link) mark("program", link.programId);
      const program = kind === "program" ? this.#programs.get(id) : undefined;
      for (const map of program?.mapIds ?? []) mark("map", map);
    };
    for (const ref of [...this.pins.values(), ...this.#open]) mark(ref.kind, ref.id);
    for (const program of this.#filters.values()) mark("program", program);
    for (const id of [...this.#links.keys()]) {
      if (live.has(`link:${id}`)) continue;
      this.#leave(kernelLinkId(id));
      this.#links.delete(id);
    }
    for (const id of [...this.#programs.keys()]) if (!live.has(`program:${id}`)) this.#programs.delete(id);
    for (const id of [...this.#maps.keys()]) if (!live.has(`map:${id}`)) this.#maps.delete(id);
  }

  /** Everything that is there, for "nothing is left" and "nothing has changed". */
  snapshot(): { programs: number[]; maps: number[]; links: number[]; pins: string[]; filters: number[] } {
    return {
      filters: [...this.#filters.values()],
      programs: [...this.#programs.keys()],
      maps: [...this.#maps.keys()],
      links: [...this.#links.keys()],
      pins: [...this.pins.keys()].sort(),
    };
  }

  /** What the end of a process does: its open handles go. */
  closeAll(): void {
    this.#open.clear();
    this.sweep();
  }

  #createMap(map: Pick<ObjectMap, "name" | "type" | "keySize" | "valueSize" | "maxEntries" | "flags">): MapId {
    const id = mapId(this.#nextMap++);
    this.#maps.set(id, {
      id,
      name: map.name.slice(0, 15),
      type: map.type,
      keySize: map.keySize ?? 0,
      valueSize: map.valueSize ?? 0,
      maxEntries: map.maxEntries ?? 0,
      flags: map.flags,
      btfId: 0,
      mapExtra: 0,
      memlock: 4096,
      frozen: false,
    });
    return id;
  }

  #hook(name: string) {
    const state = this.#hooks.get(name) ?? { revision: 1n, members: [] };
    this.#hooks.set(name, state);
    return state;
  }

  #join(name: string, attach: OrderedAttach, { program, link }: { program: ProgramId; link: KernelLinkId }): void {
    const { anchor } = attach;
    const state = this.#hook(name);
    if (attach.revision !== 0n && state.revision !== attach.revision)
      throw new BpfmanError("HOOK_CHANGED", "the hook has another revision");
    const at =
      anchor.side === "last" ? state.members.length : state.members.findIndex((entry) => entry.link === anchor.link);
    if (at < 0) throw new BpfmanError("HOOK_CHANGED", "its neighbour in the chain is gone");
    if (state.members.some((entry) => entry.program === program)) {
      throw new BpfmanError("ALREADY_ATTACHED", "the program is already on that hook");
    }
    if (state.members.length === HOOK_MEMBERS_MAX) throw new BpfmanError("ATTACH_FAILED", "the hook is full");
    state.members.splice(anchor.side === "after" ? at + 1 : at, 0, { program, link });
    state.revision += 1n;
  }

  /** A tracepoint takes a program once. */
  #requireNew(program: ProgramId, hook: string | null): void {
    const isThere = [...this.#links.values()].some((link) => link.programId === program && link.hook === hook);
    if (isThere) throw new BpfmanError("ALREADY_ATTACHED", "the program is already attached there");
  }

  #leave(id: KernelLinkId): void {
    for (const [name, state] of this.#hooks) {
      const at = state.members.findIndex((entry) => entry.link === id);
      if (at < 0) continue;
      state.members.splice(at, 1);
      state.revision += 1n;
      // The kernel forgets a hook that nobody uses.
      if (state.members.length === 0) this.#hooks.delete(name);
    }
  }

  /** What has to be at a pin. */
  #behind(pin: Pin): Ref {
    const ref = this.pins.get(pin.path);
    if (ref === undefined) throw new BpfmanError("STATE_CONFLICT", `no ${pin.kind} is pinned at "${pin.path}"`);
    if (ref.kind !== pin.kind || ref.id !== pin.id) throw anotherObject(pin, ref);
    return ref;
  }

  #hold(kind: Kind, id: number): Ref {
    const ref = { kind, id };
    this.#open.add(ref);
    return ref;
  }

  #release(refs: readonly Ref[]): void {
    for (const ref of refs) this.#open.delete(ref);
    this.sweep();
  }

  #pin(path: string, kind: Kind, id: number | undefined): void {
    if (id === undefined) throw new BpfmanError("INTERNAL", `nothing to pin at ${path}`);
    if (this.pins.has(path)) throw new BpfmanError("STATE_CONFLICT", `"${path}" is pinned already`);
    this.pins.set(path, { kind, id });
  }
}
