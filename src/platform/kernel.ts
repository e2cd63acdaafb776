import type { LinkFacts } from "../../ffi/link-facts.ts";
import type { XdpMode } from "../domain/config.ts";
import type { FilterRef } from "../domain/dispatcher.ts";
import type { KernelLinkId, MapId, ProgramId } from "../domain/ids.ts";
import type {
  CgroupHook,
  Direction,
  HookAnchor,
  HookState,
  IterDetails,
  KprobeMultiDetails,
  NetfilterHook,
  PerfEventDetails,
  TracingDetails,
  UprobeMultiDetails,
} from "../domain/link.ts";
import type { BpfmanError } from "../errors/error.ts";
import type { Pin } from "../domain/pin.ts";
import type { CgroupKind, ProgramType, ChainedKind } from "../domain/kinds.ts";

export type { HookAnchor, HookState };

/** A program as the kernel reports it: BPF_OBJ_GET_INFO_BY_FD, struct bpf_prog_info. */
export interface KernelProgram {
  readonly id: ProgramId;
  /** At most 15 characters. */
  readonly name: string;
  /** BPF_PROG_TYPE_* number. */
  readonly type: number;
  /** 16 hex digits. */
  readonly tag: string;
  readonly loadedAt: Date;
  readonly uid: number;
  /** 0 if the program has no BTF. */
  readonly btfId: number;
  /** In the kernel's order. */
  readonly mapIds: readonly MapId[];
  readonly gplCompatible: boolean;
  /** Bytes. */
  readonly jitedSize: number;
  readonly xlatedSize: number;
  readonly verifiedInstructions: number;
  /** Bytes charged, from fdinfo; null if they cannot be read. */
  readonly memlock: number | null;
  readonly runTimeNs: number;
  readonly runCount: number;
  readonly recursionMisses: number;
  /** The kernel hides the program's instructions from this caller. */
  readonly restricted: boolean;
}

/** What was counted of a program. */
export interface RunCounts {
  readonly runs: number;
  readonly timeNs: number;
}

/** With what is to be known of the program to show it; all that {@link KernelProgram} has takes several times as long. */
export type ProgramRuns = RunCounts & Pick<KernelProgram, "name" | "type" | "btfId">;

/** Counts the runs of one program while it is open. */
export interface ProgramWatch {
  /** The programs that count. */
  readonly programs: readonly ProgramId[];
  /** Everything since it was opened. Throws KERNEL_CALL_FAILED. */
  read(): WatchedRuns;
  close(): void;
}

export interface WatchedRuns extends RunCounts {
  /** How many runs returned which value: -1 to 8, and null for all other values. */
  readonly verdicts: ReadonlyMap<number | null, number>;
}

/** struct bpf_map_info. Sizes are in bytes. */
export interface KernelMap {
  readonly id: MapId;
  readonly name: string;
  /** BPF_MAP_TYPE_* number. */
  readonly type: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
  readonly btfId: number;
  readonly mapExtra: number;
  readonly memlock: number | null;
  readonly frozen: boolean;
}

/** What a map holds, as far as the kernel tells. */
export interface KernelMapContent {
  /** One of the maps in a map of maps. */
  readonly inner: KernelMap | null;
  /** BTF, and the types of key (0 where nothing is said) and value in it. */
  readonly types: { readonly btf: Uint8Array; readonly key: number; readonly value: number } | null;
}

/** Entries of a map that were read at once; the next batch may overwrite them. */
export interface MapBatch {
  /** One after the other. */
  readonly keys: Uint8Array;
  /** Null where the kernel does not tell them. */
  readonly values: Uint8Array | null;
  readonly count: number;
  /** Where the next batch begins; null behind the last one. */
  readonly next: string | null;
}

/** Adds an entry or changes it, only adds, or only changes one. */
export type UpdateMode = "any" | "create" | "existing";

/** A map that is open, so that its ID cannot be reused meanwhile. Missing entries are null or false. */
export interface OpenMap {
  readonly map: KernelMap;
  /** The possible processors, if each has a value of its own: the values are in their order, each padded to 8 bytes. */
  readonly processors: readonly number[] | null;
  /** Of all that belongs to one key. */
  readonly valueBytes: number;
  /** BTF, and the types of key (0 where nothing is said) and value in it. */
  types(): KernelMapContent["types"];
  /** Without a key: the next value of a queue or stack, which stays there. */
  lookup(key: Uint8Array | null): Uint8Array | null;
  /** Whether a bloom filter may have the value. */
  contains(value: Uint8Array): boolean;
  /**
   * `reference` is a map or program that the entry is to hold; its descriptor goes to that place of the value. Throws ENTRY_EXISTS, ENTRY_NOT_FOUND, MAP_FULL,
   * MAP_FROZEN.
   */
  update(
    key: Uint8Array | null,
    value: Uint8Array,
    how: { readonly mode: UpdateMode; readonly reference?: MapReference },
  ): void;
  delete(key: Uint8Array): boolean;
  /** Takes the next value out of a queue or stack. */
  take(): boolean;
  /** All entries after `from` (`MapBatch.next`), about `count` at a time. Throws INVALID_REQUEST for another `from`. */
  batches(from: string | null, count: number): Iterable<MapBatch>;
  close(): void;
}

/** Receives what is read from a buffer of events. */
export interface EventTaker {
  /** The bytes may be overwritten after the call. The processor is null for a buffer that all share. */
  event(from: DataView, at: number, bytes: number, cpu: number | null): void;
  /** Events were lost here; null if the kernel does not count them, so that it may have been none. */
  lost(count: number | null, cpu: number | null): void;
}

/** A source that is read as it fills, and what is read is taken out. */
export interface OpenSource {
  /** Blocks the process until there is something to read, a signal arrives, or the time is over. */
  wait(ms: number): void;
  close(): void;
}

/** A ring buffer or perf buffer. */
export interface OpenEvents extends OpenSource {
  /** Reads up to `most` events, as many as are there now. */
  read(most: number, take: EventTaker): void;
  /** Tells what was lost and was not told yet, as far as the kernel counts it. */
  tellLost(take: EventTaker): void;
}

/** What all programs print (bpf_printk). */
export interface OpenTrace extends OpenSource {
  /** Bytes of text, as many as are there now; empty if there are none. */
  read(): Uint8Array;
}

export interface MapReference {
  readonly kind: "map" | "program";
  readonly id: number;
  /** In the value. */
  readonly at: number;
}

/** struct bpf_link_info. */
export interface KernelLink {
  readonly id: KernelLinkId;
  readonly programId: ProgramId;
  /** BPF_LINK_TYPE_* number. */
  readonly type: number;
  /** BPF_* attach type number for links that have one (tracing, tcx, …); null otherwise. */
  readonly attachType: number | null;
  /** Fields that only this link type has; null if the kernel reports none. */
  readonly facts: LinkFacts | null;
}

/** Whether a feature works here. Determined by using it, never inferred from a version. */
export interface Feature {
  readonly available: boolean;
  /** Why it is unavailable: an errno name (`EPERM`) or a short text; null if it is available. */
  readonly reason: string | null;
}

/** State of kernel lockdown (kernel_lockdown(7)). */
export type Lockdown = "none" | "integrity" | "confidentiality";

/** What this kernel lets this process do. */
export interface KernelFeatures {
  /** EXT programs can be loaded and attached, as dispatchers require. */
  readonly ext: Feature;
  /** fentry and fexit programs can be attached to kernel functions. */
  readonly tracing: Feature;
  readonly lsm: {
    /** LSM programs can be loaded. */
    readonly load: Feature;
    /** LSM programs take effect: `bpf` is an active security module. */
    readonly active: Feature;
  };
  /** TCX hooks of interfaces (Linux 6.6). */
  readonly tcx: Feature;
  readonly kprobe: Feature;
  /** Perf event links, by which tracepoints and probes are attached (Linux 5.15). */
  readonly perfLink: Feature;
  /** The kernel exposes its BTF (/sys/kernel/btf/vmlinux). */
  readonly btf: Feature;
  /** Programs are JIT-compiled rather than interpreted. */
  readonly jit: Feature;
  /** A bpffs can be mounted. */
  readonly bpffs: Feature;
  /** Null if the kernel does not support or report it. */
  readonly lockdown: Lockdown | null;
  /** Names of the effective capabilities that BPF requires. */
  readonly capabilities: readonly string[];
}

/** Features that can be tested individually. */
export type FeatureName = Exclude<keyof KernelFeatures, "lockdown" | "capabilities"> | "activeLsm";

export interface ProgramToLoad {
  readonly name: string;
  readonly type: ProgramType;
  /** The kernel function, for fentry and fexit; for freplace, a function of the program `target`. */
  readonly attachFunction: string | null;
  readonly target?: Pin;
}

/** A program as the verifier is to see it. */
export interface ProgramToVerify extends Omit<ProgramToLoad, "type"> {
  /** Null leaves it to libbpf, which goes by the section. */
  readonly type: ProgramType | null;
}

/** An object of which some programs are verified. */
export interface ObjectToVerify extends Omit<ObjectToLoad, "programs" | "alongside" | "reuse"> {
  readonly programs: readonly ProgramToVerify[];
}

/** What the verifier of this kernel says to a program. */
export interface Verification {
  /** BPF_PROG_TYPE_* number; 0 if the section says nothing to libbpf. */
  readonly type: number;
  /**
   * Null if it is accepted; else VERIFIER_REJECTED with the log of the path that was refused, KERNEL_REFUSED, LOAD_FAILED,
   * SYMBOL_NOT_FOUND or the like.
   */
  readonly refusal: BpfmanError | null;
  /** The statistics of the verifier, as text; empty if it was not reached. */
  readonly statistics: string;
  /** Bytes; null if it is refused. */
  readonly jitedSize: number | null;
}

/** A map that is there. */
export interface MapToReuse extends Omit<Pin, "path"> {
  /** Its pin; null for one that is known by its id alone. */
  readonly path: string | null;
}

export interface ObjectToLoad {
  readonly bytes: Uint8Array;
  /** Object name for libbpf, which derives the names of internal maps from it. */
  readonly name: string;
  readonly programs: readonly ProgramToLoad[];
  /** Loaded as well, because program arrays have them as initial values: the arrays hold them. */
  readonly alongside: readonly ProgramToLoad[];
  readonly globals: readonly { readonly section: string; readonly offset: number; readonly bytes: Uint8Array }[];
  /** Maps to take instead of creating them, by full map name. Shapes were checked by the caller. */
  readonly reuse: ReadonlyMap<string, MapToReuse>;
  /** How many entries maps are to have, by full map name, whatever the object says. */
  readonly maxEntries?: ReadonlyMap<string, number>;
  /** Full names of maps that are not created, since none of the programs uses them. */
  readonly unusedMaps?: ReadonlySet<string>;
  /** Structs that struct_ops programs are members of: maps, by full name; `linked` is BPF_F_LINK (Linux 6.4). */
  readonly structs?: ReadonlyMap<string, { readonly linked: boolean }>;
}

export interface LoadedProgram {
  readonly name: string;
  readonly kernel: KernelProgram;
}

export interface LoadedMap {
  /** Full name in the object; `.rodata`, `.data`, `.bss` (and variants) for internal maps. */
  readonly name: string;
  readonly id: MapId;
  readonly internal: boolean;
  /** It was there before. */
  readonly reused: boolean;
}

/**
 * Programs and maps in the kernel that only this handle holds: after `close`, those that are not pinned are gone. The maps are
 * those that the loaded programs use, and all others with a name in the object that were created for them.
 */
export interface LoadedObject {
  readonly programs: readonly LoadedProgram[];
  readonly alongside: readonly LoadedProgram[];
  readonly maps: readonly LoadedMap[];
  pinProgram(name: string, path: string): void;
  pinMap(name: string, path: string): void;
  close(): void;
}

/** A kernel object opened from its pin. It outlives the pin while the handle is open. */
export type PinnedHandle = PinnedId & {
  pin(path: string): void;
  /** Detaches a link immediately if the kernel supports that for it (not for perf-based links). */
  detach(): void;
  close(): void;
};
export type PinnedId =
  | { readonly kind: "program"; readonly id: ProgramId }
  | { readonly kind: "map"; readonly id: MapId }
  | { readonly kind: "link"; readonly id: KernelLinkId };

/** Everything the kernel needs to attach a program, with all names resolved. */
export type KernelAttach =
  | { readonly kind: "tracepoint"; readonly group: string; readonly name: string }
  | { readonly kind: "raw_tp"; readonly name: string }
  | {
      readonly kind: "uprobe" | "uretprobe";
      readonly path: string;
      readonly fileOffset: number;
      readonly pid: number | null;
    }
  | {
      readonly kind: "kprobe" | "kretprobe";
      readonly fnName: string;
      /** Bytes from the start of the function. */
      readonly offset: number;
      /** Where the function begins, when its name alone does not say which one is meant. */
      readonly address: bigint | null;
    }
  | { readonly kind: TracingDetails["kind"] }
  | {
      readonly kind: KprobeMultiDetails["kind"];
      /** As it was asked for, for messages. */
      readonly pattern: string;
      readonly functions: readonly string[];
    }
  | {
      readonly kind: UprobeMultiDetails["kind"];
      readonly path: string;
      /** In the file, in bytes. */
      readonly offsets: readonly number[];
      readonly pid: number | null;
    }
  | {
      readonly kind: "freplace";
      /** The program of which that function is replaced. */
      readonly target: Pin;
      readonly fnName: string;
    }
  | IterDetails
  | PerfEventDetails
  | ({ readonly kind: "tcx"; readonly anchor: HookAnchor; readonly revision: bigint } & TcHook)
  | CgroupAttach
  | { readonly kind: "sk_lookup"; readonly netns: string | null }
  | ({ readonly kind: "netfilter"; readonly netns: string | null } & NetfilterHook);

export interface CgroupAttach extends CgroupHook {
  readonly kind: CgroupKind;
  readonly anchor: HookAnchor;
  readonly revision: bigint;
}

/** A function of the kernel or of a module: several may have one name. */
export interface KernelFunction {
  readonly name: string;
  /** Null for the kernel's own. */
  readonly module: string | null;
  /** 0 if the kernel hides addresses (kernel.kptr_restrict). */
  readonly address: bigint;
  /** Distance to the next symbol, in bytes; null if unknown. */
  readonly size: number | null;
}

/** A link that only this handle references: `close` detaches it unless it is pinned. */
export interface AttachedLink {
  readonly id: KernelLinkId;
  pin(path: string): void;
  close(): void;
}

/** What the program of an iterator link writes, while it runs. */
export interface IteratorOutput {
  /** Null at the end; nothing yet if it is empty. Valid until the next call. */
  read(): Uint8Array | null;
  close(): void;
}

/** A hook of an interface in a network namespace. */
export interface InterfaceHook {
  /** Path of the network namespace; null for the caller's own. */
  readonly netns: string | null;
  readonly ifindex: number;
  /** The interface name for messages; absent if no message names it. */
  readonly interface?: string;
}
/**
 * One direction of an interface: of clsact for TC, or of TCX (Linux 6.6), which runs several programs without a
 * dispatcher.
 */
export interface TcHook extends InterfaceHook {
  readonly direction: Direction;
}

/** A program that is loaded, of which an extension is to be made: the same code with the same maps, for a slot. */
export interface TwinToLoad {
  readonly name: string;
  readonly program: Pin;
  /** As src/object/twin.ts makes them of the bytes that the program was loaded from. */
  readonly bytes: Uint8Array;
  /** XDP: the program has BPF_F_XDP_HAS_FRAGS. */
  readonly frags: boolean;
  /** All maps of the program, by full name; `.rodata`, `.data`, `.bss`, `.kconfig` for internal ones. */
  readonly maps: ReadonlyMap<string, MapId>;
}

/** What goes into a slot: an extension that is pinned, or a twin that is made now, once for all slots that name it. */
export type SlotMember = { readonly extension: Pin } | { readonly twin: TwinToLoad };

/** A dispatcher to load: its configuration, and which program goes into which slot (slot i is members[i]). */
export interface DispatcherToLoad {
  readonly hook: ChainedKind;
  /** The content of `.rodata`, encoded by src/dispatcher/dispatcher-config.ts. */
  readonly config: Uint8Array;
  readonly members: readonly SlotMember[];
  /**
   * The attach type that it expects. `XDP` only for members that earlier versions loaded as extensions of such a
   * dispatcher: the kernel links them to no other, and lets no other take its place.
   */
  readonly expectedAttachType: "XDP" | null;
  /** XDP: load with BPF_F_XDP_HAS_FRAGS, only if every member supports multi-buffer packets. */
  readonly frags: boolean;
}

/**
 * A dispatcher with its members in their slots, not yet attached to an interface. `close` frees everything that is not
 * pinned.
 */
export interface LoadedDispatcher {
  readonly program: ProgramId;
  /** The extension links, by slot. */
  readonly links: readonly KernelLinkId[];
  /** The extensions themselves, by slot. */
  readonly extensions: readonly ProgramId[];
  pinProgram(path: string): void;
  pinLink(slot: number, path: string): void;
  pinExtension(slot: number, path: string): void;
  close(): void;
}

/** The program on an interface's XDP hook. */
export interface XdpHolder {
  readonly program: ProgramId;
  /** The kernel link that attaches it; null if it was attached without one (netlink). */
  readonly link: KernelLinkId | null;
  readonly mode: XdpMode;
}

export type MapOpener = (id: MapId) => OpenMap | null;

/**
 * The kernel. All calls are synchronous system calls except `load`, which opens libbpf on first use. Failures are
 * BpfmanErrors with `sys` set; a missing ID or pin is `null` rather than an error if the return type allows it. Methods
 * that take a {@link Pin} throw STATE_CONFLICT if another object is pinned there.
 */
export interface KernelPort {
  /** Tests one feature and leaves nothing behind. */
  feature(name: FeatureName): Promise<Feature>;

  load(object: ObjectToLoad): Promise<LoadedObject>;
  /**
   * Loads programs to see whether they can be, and leaves nothing. Returns what the verifier says to each of them, or null if they
   * are several and not all are accepted: libbpf stops at the first refusal. Throws what says nothing about them: LIBBPF_MISSING.
   */
  verify(object: ObjectToVerify): Promise<readonly Verification[] | null>;
  /** As in `uname -r`. */
  release(): string;

  programIds(): ProgramId[];
  program(id: ProgramId): KernelProgram | null;
  /** The program's name as its BTF has it: `KernelProgram.name` is cut at 15 characters. */
  wholeName(program: Pick<KernelProgram, "id" | "name" | "btfId">): string;
  map(id: MapId): KernelMap | null;
  mapIds(): MapId[];
  mapContent(id: MapId): KernelMapContent | null;
  /** The bytes of an array's first value, such as those of a `.rodata`; null if there is no such map, or it is no array. */
  firstValue(id: MapId): Uint8Array | null;
  /**
   * Returns what opens maps, once its code is loaded; null from that if there is none of that ID. It throws PERMISSION_DENIED for maps
   * that bpfman did not pin, without CAP_SYS_ADMIN.
   */
  mapOpener(): Promise<MapOpener>;
  /** Opens a ring buffer or perf buffer to read from it. Throws NOT_SUPPORTED. */
  openEvents(id: MapId): OpenEvents | null;
  /** Opens trace_pipe. Throws TRACEFS_UNAVAILABLE, EVENTS_TAKEN, PERMISSION_DENIED. */
  openTrace(): OpenTrace;
  /** BTF of a program; null if it has none, or the kernel does not show it to this process. */
  programBtf(program: KernelProgram): Uint8Array | null;
  link(id: KernelLinkId): KernelLink | null;
  linkIds(): KernelLinkId[];
  /** Reports whether the kernel currently collects run counts and times (kernel.bpf_stats_enabled, off by default). */
  countsRuns(): boolean;
  /**
   * Has the kernel count the runs of all programs until it is closed, or this process ends (Linux 5.8). Throws
   * PERMISSION_DENIED without CAP_SYS_ADMIN, KERNEL_UNSUPPORTED.
   */
  countRuns(): { close(): void };
  /**
   * What the kernel counted for a program since it was loaded, while counting was on; null if there is no such program.
   * Extensions are never counted: their runs belong to the program that they extend.
   */
  programRuns(id: ProgramId): ProgramRuns | null;
  /**
   * Counts the runs of one XDP or TC program, also of an extension, with a pair of fentry and fexit programs, which only this
   * process holds. Returns null if there is no such program. Throws if this kernel cannot do that.
   */
  watchProgram(id: ProgramId): Promise<ProgramWatch | null>;
  /** Opens whatever is pinned at a path, or exactly the object a Pin names; returns null if there is no pin. */
  openPin(pin: string | Pin): PinnedHandle | null;
  /** Opens an object by its ID, to pin it again; returns null if there is none. */
  openObject(object: PinnedId): PinnedHandle | null;

  /**
   * Attaches a pinned program. Throws HOOK_CHANGED if a TCX hook's revision differs from the expected one,
   * KERNEL_UNSUPPORTED if the kernel does not support the kind, ATTACH_FAILED otherwise.
   */
  attach(program: Pin, attach: KernelAttach): AttachedLink;
  /** Runs the program of a pinned iterator link from the beginning. Throws KERNEL_CALL_FAILED. */
  openIterator(link: Pin): IteratorOutput;
  /** Throws KERNEL_UNSUPPORTED before Linux 6.6. */
  tcxState(hook: TcHook): HookState;
  /** Finds a cgroup of version 2 by its directory; the answer has its path without symbolic links. Throws CGROUP_NOT_FOUND. */
  cgroup(path: string): Omit<CgroupHook, "attachType">;
  /** Returns the paths of cgroups of version 2 that start with `prefix`: each before those below it. */
  cgroups(prefix: string): Iterable<string>;
  /** Throws CGROUP_NOT_FOUND. */
  cgroupState(hook: CgroupHook): HookState;
  /** Returns all tracepoints as `group/name`, for checks and suggestions. Throws TRACEFS_UNAVAILABLE, PERMISSION_DENIED. */
  tracepoints(): string[];
  /** Their names without a group, for completions. Throws TRACEFS_UNAVAILABLE, PERMISSION_DENIED. */
  rawTracepoints(): string[];
  tracepointExists(group: string, name: string): boolean;
  /** The functions of that name in the kernel and its modules (/proc/kallsyms), or those that begin at that address. */
  functionsNamed(name: string): KernelFunction[];
  functionsAt(address: bigint): KernelFunction[];
  /** Returns the names of all functions, or of those that start with `prefix`, for suggestions. */
  kernelFunctions(prefix?: string): Iterable<string>;
  /** Returns the names of the functions that can be traced, those of modules included. */
  traceableFunctions(): Iterable<string>;
  /** Reports whether the BPF LSM is active (`lsm=…,bpf` on the kernel command line). */
  lsmActive(): boolean;
  /**
   * Loads a dispatcher, makes the twins that are to be made, and puts all members into the slots. Throws LOAD_FAILED,
   * VERIFIER_REJECTED, ATTACH_FAILED.
   */
  loadDispatcher(dispatcher: DispatcherToLoad): Promise<LoadedDispatcher>;

  /**
   * Waits until every program that is currently processing a packet has finished. After a swap, packets may still be in
   * the old dispatcher, so its slots must not be emptied before that.
   */
  waitForRunningPrograms(): void;

  /** Returns null if nothing is attached, or there is no such interface. */
  xdpHolder(hook: InterfaceHook): XdpHolder | null;
  /**
   * Attaches a pinned program to the XDP hook with a link. Throws KERNEL_UNSUPPORTED for `drv` without driver support
   * (the caller decides whether to use `skb`), HOOK_BUSY if the hook is in use.
   */
  attachXdp(program: Pin, hook: InterfaceHook & { readonly mode: XdpMode }): AttachedLink;
  /**
   * Replaces program `old` of a pinned link with `next` (pins of programs): BPF_LINK_UPDATE with BPF_F_REPLACE, which XDP, TCX,
   * cgroup, sk_lookup and iterator links have. `old` is an ID for a program that somebody else put there.
   * Throws STATE_CONFLICT if the link does not run `old`; INTERFACE_NOT_FOUND, CGROUP_NOT_FOUND or NETNS_NOT_FOUND if what it
   * is attached to no longer exists.
   */
  swapProgram(link: Pin, programs: { readonly old: Pin | ProgramId; readonly next: Pin }): void;

  /**
   * Attaches a pinned program with a new filter on clsact, which is created if missing. Throws HOOK_BUSY if the filter
   * exists, STATE_CONFLICT if an `ingress` qdisc takes clsact's place, INTERFACE_NOT_FOUND.
   */
  attachTc(program: Pin, hook: TcHook, filter: FilterRef): void;
  /**
   * Replaces the program of that filter in place (RTM_NEWTFILTER, NLM_F_REPLACE), without a gap. Throws STATE_CONFLICT
   * if the filter does not exist.
   */
  replaceTc(program: Pin, hook: TcHook, filter: FilterRef): void;
  /** Returns the program that a filter runs; null if the filter, qdisc or interface does not exist. */
  tcFilterProgram(hook: TcHook, filter: FilterRef): ProgramId | null;
  /** Whether there is a filter of anybody else's that a packet can come to behind that place; false without a qdisc. */
  hasTcFilterBehind(hook: TcHook, filter: FilterRef): boolean;
  /** Deletes exactly that filter; returns false if it did not exist. clsact remains. */
  detachTc(hook: TcHook, filter: FilterRef): boolean;

  /**
   * Detaches a link immediately if the kernel supports that for it (not for perf-based links); otherwise does nothing.
   */
  forceDetach(link: KernelLinkId): void;
}
