import type { XdpMode } from "../domain/config.ts";
import type { FilterRef } from "../domain/dispatcher.ts";
import type { KernelLinkId, MapId, ProgramId } from "../domain/ids.ts";
import type { Direction } from "../domain/link.ts";
import type { Pin } from "../domain/pin.ts";
import type { ProgramType, ChainedKind } from "../domain/kinds.ts";
import type { TcxAnchor, TcxState } from "../domain/tcx.ts";

export type { TcxAnchor, TcxState };

/** The kernel's own view of a program: BPF_OBJ_GET_INFO_BY_FD, struct bpf_prog_info. */
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
  /** 0 when the program has no BTF. */
  readonly btfId: number;
  /** In the kernel's order. */
  readonly mapIds: readonly MapId[];
  readonly gplCompatible: boolean;
  /** Bytes. */
  readonly jitedSize: number;
  readonly xlatedSize: number;
  readonly verifiedInstructions: number;
  /** Bytes charged, from fdinfo; null when it cannot be read. */
  readonly memlock: number | null;
  readonly runTimeNs: number;
  readonly runCount: number;
  readonly recursionMisses: number;
  /** The kernel hides the program's instructions from this caller. */
  readonly restricted: boolean;
}

/** struct bpf_map_info. Sizes in bytes. */
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

/** struct bpf_link_info. */
export interface KernelLink {
  readonly id: KernelLinkId;
  readonly programId: ProgramId;
  /** BPF_LINK_TYPE_* number. */
  readonly type: number;
  /** BPF_* attach type number where the link has one (tracing, tcx, …), null otherwise. */
  readonly attachType: number | null;
  /** What only links of its kind have; null where the kernel says nothing more. */
  readonly facts: KernelLinkFacts | null;
}

/** Fields that a kernel does not have yet are 0. */
export type KernelLinkFacts =
  /** The interface is 0 when it has gone. */
  | { readonly kind: "xdp" | "tcx"; readonly ifindex: number }
  | {
      readonly kind: "tracing";
      /** The program that an extension extends; for a function of the kernel the id of the BTF it is in. */
      readonly targetObjectId: number;
      /** The function, by its type id in that BTF. */
      readonly targetBtfId: number;
      readonly cookie: bigint;
    }
  | {
      readonly kind: "kprobe" | "kretprobe";
      readonly functionName: string;
      /** Bytes from the start of the function. */
      readonly offset: number;
      /** 0 where the kernel hides addresses (kernel.kptr_restrict). */
      readonly address: bigint;
      /** How often it fired while it could not run. */
      readonly missed: bigint;
      readonly cookie: bigint;
    }
  | {
      readonly kind: "uprobe" | "uretprobe";
      readonly file: string;
      /** Bytes from the start of the file. */
      readonly offset: number;
      readonly cookie: bigint;
    }
  | { readonly kind: "tracepoint"; readonly name: string; readonly cookie: bigint };

/** Whether something works here: found by doing it, never guessed from a version. */
export interface Feature {
  readonly available: boolean;
  /** Why it is not available: the name of an errno (`EPERM`), or some words; null when it is. */
  readonly reason: string | null;
}

/** State of kernel_lockdown(7). */
export type Lockdown = "none" | "integrity" | "confidentiality";

/** What this kernel lets this process do. */
export interface KernelFeatures {
  /** EXT programs can be loaded and attached: dispatchers are possible. */
  readonly ext: Feature;
  /** fentry and fexit: programs on functions of the kernel. */
  readonly tracing: Feature;
  readonly lsm: {
    /** LSM programs can be loaded. */
    readonly load: Feature;
    /** They are asked: `bpf` is among the active security modules. */
    readonly active: Feature;
  };
  /** TCX hooks of interfaces (Linux 6.6). */
  readonly tcx: Feature;
  readonly kprobe: Feature;
  /** Links of perf events, by which tracepoints and probes are attached (Linux 5.15). */
  readonly perfLink: Feature;
  /** The kernel shows its types (/sys/kernel/btf/vmlinux). */
  readonly btf: Feature;
  /** Programs are compiled, not interpreted. */
  readonly jit: Feature;
  /** A BPF file system can be mounted. */
  readonly bpffs: Feature;
  /** Null for a kernel that does not know it, or does not say. */
  readonly lockdown: Lockdown | null;
  /** Names of the capabilities in effect, of those that BPF asks for. */
  readonly capabilities: readonly string[];
}

/** What can be tried by itself. */
export type FeatureName = Exclude<keyof KernelFeatures, "lockdown" | "capabilities"> | "activeLsm";

export interface ProgramToLoad {
  readonly name: string;
  readonly type: ProgramType;
  /** For fentry and fexit: the kernel function. */
  readonly attachFunction: string | null;
  /** xdp and tc: as an extension of a dispatcher slot, or with their own type where the kernel refuses extensions. */
  readonly asExtension: boolean;
}

/**
 * The dispatchers that extensions are verified against: pinned by the first load that needs one, and used by those that
 * follow.
 */
export interface TestDispatchers {
  /** The pin of one that was made before; null when there is none. */
  recorded(path: string): Pin | null;
  /** Called before one is pinned. */
  record(pin: Pin): void;
}

/** A map that is there. */
export interface MapToReuse extends Omit<Pin, "path"> {
  /** Its pin; null for one that is known by its id alone. */
  readonly path: string | null;
}

export interface ObjectToLoad {
  readonly bytes: Uint8Array;
  /** Name for libbpf, from which it makes the names of internal maps. */
  readonly name: string;
  readonly programs: readonly ProgramToLoad[];
  readonly globals: readonly { readonly section: string; readonly offset: number; readonly bytes: Uint8Array }[];
  /** Maps to take instead of creating them, by full map name. Shapes were checked by the caller. */
  readonly reuse: ReadonlyMap<string, MapToReuse>;
  /** How many entries maps are to have, by full map name, whatever the object says. */
  readonly maxEntries?: ReadonlyMap<string, number>;
  /** Full names of maps that are not created, since none of the programs uses them. */
  readonly unusedMaps?: ReadonlySet<string>;
  readonly testDispatchers: TestDispatchers;
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
 * Programs and maps in the kernel that only this handle holds: unless pinned, `close` makes them go away. The maps are
 * those that the loaded programs use, and all others that the object names and that were made for them.
 */
export interface LoadedObject {
  readonly programs: readonly LoadedProgram[];
  readonly maps: readonly LoadedMap[];
  pinProgram(name: string, path: string): void;
  pinMap(name: string, path: string): void;
  close(): void;
}

/** A kernel object opened from its pin, so that it outlives the pin for as long as the handle is open. */
export type PinnedHandle = PinnedId & {
  pin(path: string): void;
  close(): void;
};
export type PinnedId =
  | { readonly kind: "program"; readonly id: ProgramId }
  | { readonly kind: "map"; readonly id: MapId }
  | { readonly kind: "link"; readonly id: KernelLinkId };

/** Everything the kernel must know to attach one program, all names resolved. */
export type KernelAttach =
  | { readonly kind: "tracepoint"; readonly group: string; readonly name: string }
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
    }
  | { readonly kind: "fentry" | "fexit" | "lsm" }
  | ({ readonly kind: "tcx"; readonly anchor: TcxAnchor; readonly revision: bigint } & TcHook);

export interface KernelFunction {
  /** Distance to the next symbol, in bytes; null when it is not known. */
  readonly size: number | null;
  /** How many functions have this name: a kprobe needs exactly one. */
  readonly count: number;
}

/** A live attachment that only this handle holds: unless pinned, `close` detaches it. */
export interface AttachedLink {
  readonly id: KernelLinkId;
  pin(path: string): void;
  close(): void;
}

/** An interface's hook, in a namespace. */
export interface InterfaceHook {
  /** Path of the network namespace; null for the caller's own. */
  readonly netns: string | null;
  readonly ifindex: number;
  /** What people call it; absent where nobody has to be told. */
  readonly interface?: string;
}
/** One direction of an interface: clsact for TC, and TCX (Linux 6.6), where several programs run without a dispatcher. */
export interface TcHook extends InterfaceHook {
  readonly direction: Direction;
}

/** A dispatcher to be made: its configuration bytes, and who sits in which slot (slot i is members[i]). */
export interface DispatcherToLoad {
  readonly hook: ChainedKind;
  /** What `.rodata` is to hold: src/dispatcher/config.ts makes it. */
  readonly config: Uint8Array;
  /** Pins of the members' programs, which were loaded as extensions. */
  readonly members: readonly Pin[];
  /** XDP: load it with BPF_F_XDP_HAS_FRAGS; only when every member has it. */
  readonly frags: boolean;
}

/**
 * A dispatcher with its members in their slots, not on any interface yet. What is not pinned goes with `close`.
 */
export interface LoadedDispatcher {
  readonly program: ProgramId;
  /** The extension links, by slot. */
  readonly links: readonly KernelLinkId[];
  pinProgram(path: string): void;
  pinLink(slot: number, path: string): void;
  close(): void;
}

/** What is on an interface's XDP hook. */
export interface XdpHolder {
  readonly program: ProgramId;
  /** The kernel's link that holds it; null when it was attached without one (netlink). */
  readonly link: KernelLinkId | null;
  readonly mode: XdpMode;
}

/**
 * The kernel. All calls are synchronous system calls except `load`, which fetches libbpf on first use. Failures are
 * BpfmanErrors with `sys` set; a missing id or pin is `null`, not an error, where the return type says so. Whoever gives
 * a {@link Pin} gets what is behind it or STATE_CONFLICT, when another object is pinned there.
 */
export interface KernelPort {
  /** Tries one thing; nothing is left of the trial. */
  feature(name: FeatureName): Promise<Feature>;

  load(object: ObjectToLoad): Promise<LoadedObject>;

  programIds(): ProgramId[];
  program(id: ProgramId): KernelProgram | null;
  map(id: MapId): KernelMap | null;
  mapContent(id: MapId): KernelMapContent | null;
  link(id: KernelLinkId): KernelLink | null;
  /** Whether the kernel counts runs of programs and their time now (kernel.bpf_stats_enabled); it does not by itself. */
  countsRuns(): boolean;
  /** Opens whatever is pinned at a path, or what has to be pinned there; null when there is no pin. */
  openPin(pin: string | Pin): PinnedHandle | null;

  /**
   * Attaches a pinned program. Throws HOOK_CHANGED when a TCX hook has another revision than the one
   * given, KERNEL_UNSUPPORTED when the kernel lacks the kind, ATTACH_FAILED otherwise.
   */
  attach(program: Pin, attach: KernelAttach): AttachedLink;
  /** Throws KERNEL_UNSUPPORTED before Linux 6.6. */
  tcxState(hook: TcHook): TcxState;
  /** All tracepoints as `group/name`; for checking and for suggestions. Throws TRACEFS_UNAVAILABLE. */
  tracepoints(): string[];
  tracepointExists(group: string, name: string): boolean;
  /** A function of the kernel or of its modules (/proc/kallsyms); null when there is none of that name. */
  kernelFunction(name: string): KernelFunction | null;
  /** Names of all functions, or of those that begin with `prefix`: for suggestions. */
  kernelFunctions(prefix?: string): Iterable<string>;
  /** Whether the BPF LSM takes part in decisions (`lsm=…,bpf` on the kernel's command line). */
  lsmActive(): boolean;
  /** Loads a dispatcher and puts its members into the slots. Throws LOAD_FAILED, VERIFIER_REJECTED, ATTACH_FAILED. */
  loadDispatcher(dispatcher: DispatcherToLoad): Promise<LoadedDispatcher>;

  /**
   * Returns when every program that runs on a packet now has come to its end. After a swap, packets may still be in the
   * old dispatcher: its slots must not be emptied under them.
   */
  waitForRunningPrograms(): void;

  /** Null when nothing is attached, or there is no such interface. */
  xdpHolder(hook: InterfaceHook): XdpHolder | null;
  /**
   * Puts a pinned program on the XDP hook, by a link. `drv` without driver support throws
   * KERNEL_UNSUPPORTED (the caller decides on `skb`); a hook that is held throws HOOK_BUSY.
   */
  attachXdp(program: Pin, hook: InterfaceHook & { readonly mode: XdpMode }): AttachedLink;
  /**
   * Lets a pinned XDP link run `next` in place of `old` (pins of programs): BPF_LINK_UPDATE with
   * BPF_F_REPLACE. Throws STATE_CONFLICT when the link does not run `old`, INTERFACE_NOT_FOUND when the interface has
   * gone.
   */
  swapXdp(link: Pin, programs: { readonly old: Pin; readonly next: Pin }): void;

  /**
   * Puts a pinned program into a new filter on clsact, which is made when it is missing. The filter
   * must not exist: HOOK_BUSY. Throws STATE_CONFLICT for an `ingress` qdisc in the place of clsact, INTERFACE_NOT_FOUND.
   */
  attachTc(program: Pin, hook: TcHook, filter: FilterRef): void;
  /**
   * Replaces the program of that filter in place (RTM_NEWTFILTER, NLM_F_REPLACE): there is no moment without one.
   * Throws STATE_CONFLICT when there is no such filter.
   */
  replaceTc(program: Pin, hook: TcHook, filter: FilterRef): void;
  /** The program that a filter runs; null when there is no such filter, qdisc, or interface. */
  tcFilterProgram(hook: TcHook, filter: FilterRef): ProgramId | null;
  /** Deletes exactly that filter; false when it was not there. clsact stays. */
  detachTc(hook: TcHook, filter: FilterRef): boolean;

  /** Takes a link off its hook at once where the kernel can (not perf-based ones); a no-op otherwise. */
  forceDetach(link: KernelLinkId): void;
}
