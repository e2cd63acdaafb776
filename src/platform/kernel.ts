import type { KernelLinkId, MapId, ProgramId } from "../domain/ids.ts";
import type { ProgramType } from "../domain/program.ts";
import type { TcxAnchor, TcxHook, TcxState } from "../domain/tcx.ts";

export type { TcxAnchor, TcxHook, TcxState };

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

/** struct bpf_link_info, the part common to all kinds. */
export interface KernelLink {
  readonly id: KernelLinkId;
  readonly programId: ProgramId;
  /** BPF_LINK_TYPE_* number. */
  readonly type: number;
  /** BPF_* attach type number where the link has one (tracing, tcx, …), null otherwise. */
  readonly attachType: number | null;
}

/** What is tried out once, by doing it; never guessed from a version. */
export interface KernelFeatures {
  /** EXT programs can be loaded and attached: dispatchers are possible. */
  readonly ext: boolean;
}

export interface ProgramToLoad {
  readonly name: string;
  readonly type: ProgramType;
  /** For fentry and fexit: the kernel function. */
  readonly attachFunction: string | null;
  /** xdp and tc: as an extension of a dispatcher slot, or with their own type where the kernel refuses extensions. */
  readonly asExtension: boolean;
}

export interface ObjectToLoad {
  readonly bytes: Uint8Array;
  /** Name for libbpf, from which it makes the names of internal maps. */
  readonly name: string;
  readonly programs: readonly ProgramToLoad[];
  readonly globals: readonly { readonly section: string; readonly offset: number; readonly bytes: Uint8Array }[];
  /** Maps to take from pins instead of creating them: full map name -> pin path. Shapes were checked by the caller. */
  readonly reuse: ReadonlyMap<string, string>;
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
  /** Taken from a pin. */
  readonly reused: boolean;
}

/**
 * Programs and maps in the kernel that only this handle holds: unless pinned, `close` makes them go away. The maps are
 * those of the object that the loaded programs use.
 */
export interface LoadedObject {
  readonly programs: readonly LoadedProgram[];
  readonly maps: readonly LoadedMap[];
  pinProgram(name: string, path: string): void;
  pinMap(name: string, path: string): void;
  close(): void;
}

/** A kernel object opened from its pin, so that it outlives the pin for as long as the handle is open. */
export interface PinnedHandle {
  readonly kind: "program" | "map" | "link";
  readonly id: number;
  pin(path: string): void;
  close(): void;
}

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
  | ({ readonly kind: "tcx"; readonly anchor: TcxAnchor; readonly revision: bigint } & TcxHook);

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

/**
 * The kernel. All calls are synchronous system calls except `load`, which fetches libbpf on first use. Failures are
 * BpfmanErrors with `sys` set; a missing id or pin is `null`, not an error, where the return type says so.
 */
export interface KernelPort {
  /** `uname -r`. */
  readonly release: string;
  features(): Promise<KernelFeatures>;

  load(object: ObjectToLoad): Promise<LoadedObject>;

  programIds(): ProgramId[];
  program(id: ProgramId): KernelProgram | null;
  map(id: MapId): KernelMap | null;
  link(id: KernelLinkId): KernelLink | null;
  /** Opens whatever is pinned at `path`; null when there is no pin. */
  openPin(path: string): PinnedHandle | null;

  /**
   * Attaches the program pinned at `programPin`. Throws HOOK_CHANGED when a TCX hook has another revision than the one
   * given, KERNEL_UNSUPPORTED when the kernel lacks the kind, ATTACH_FAILED otherwise.
   */
  attach(programPin: string, attach: KernelAttach): AttachedLink;
  /** Throws KERNEL_UNSUPPORTED before Linux 6.6. */
  tcxState(hook: TcxHook): TcxState;
  /** All tracepoints as `group/name`; for checking and for suggestions. Throws TRACEFS_UNAVAILABLE. */
  tracepoints(): string[];
  tracepointExists(group: string, name: string): boolean;
  /** A function of the kernel or of its modules (/proc/kallsyms); null when there is none of that name. */
  kernelFunction(name: string): KernelFunction | null;
  /** Names of all functions, for suggestions. */
  kernelFunctions(): Iterable<string>;
  /** Whether the BPF LSM takes part in decisions (`lsm=…,bpf` on the kernel's command line). */
  lsmActive(): boolean;
  /** Takes a link off its hook at once where the kernel can (not perf-based ones); a no-op otherwise. */
  forceDetach(link: KernelLinkId): void;
}
