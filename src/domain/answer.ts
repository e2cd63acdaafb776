/**
 * The answers of the operations, in the JSON shapes that `-o json` prints and the JSON-RPC server sends. Key names are
 * part of the contract (docs/cli.md), so snake_case is used here and nowhere else. Absent values are null and empty
 * collections are empty; times are RFC 3339 in UTC with milliseconds.
 */
import type { XdpMode } from "./config.ts";
import type { FindingCode, Severity } from "./finding.ts";
import type { LinkKind } from "./link.ts";
import type { CgroupKind, ProgramType } from "./kinds.ts";
import type { Metadata } from "./program.ts";

export interface ProgramAnswer {
  readonly record: ProgramRecordAnswer | null;
  readonly status: ProgramStatusAnswer;
}

export interface ProgramRecordAnswer {
  readonly program_id: number;
  readonly load: {
    readonly object_path: string;
    /** The path as it was given; null for images. */
    readonly source_path: string | null;
    /** The absolute path. Omitted in the noun-verb grammar. */
    readonly absolute_source_path: string | null;
    readonly program_name: string;
    readonly program_type: ProgramType;
    /** Whether it comes back by itself after a reboot. Omitted in the noun-verb grammar. */
    readonly keep: boolean;
    readonly global_data: Readonly<Record<string, string>>;
    readonly image_source: { readonly url: string; readonly digest: string; readonly pull_policy: string } | null;
    /** For freplace, `PROGRAM_ID/FUNCTION`. */
    readonly attach_func: string | null;
    readonly map_owner_id: number | null;
  };
  readonly license: string;
  readonly gpl_compatible: boolean;
  readonly handles: {
    readonly pin_path: string;
    readonly map_pin_path: string;
    readonly map_owner_id: number | null;
  };
  readonly meta: {
    readonly name: string;
    readonly owner: string;
    readonly description: string;
    readonly metadata: Metadata;
  };
  readonly created_at: string;
  readonly updated_at: string | null;
}

export interface KernelProgramAnswer {
  readonly id: number;
  readonly name: string;
  /** In lower case, as cilium/ebpf prints it: `extension`, `schedcls`, `tracing`. */
  readonly program_type: string;
  readonly tag: string;
  readonly loaded_at: string;
  readonly uid: number;
  readonly has_uid: boolean;
  readonly btf_id: number;
  readonly has_btf_id: boolean;
  readonly map_ids: readonly number[];
  readonly has_map_ids: boolean;
  readonly jited_size: number;
  readonly xlated_size: number;
  readonly verified_insns: number;
  readonly memlock: number;
  readonly has_memlock: boolean;
  readonly restricted: boolean;
  readonly gpl_compatible: boolean;
}

export interface ProgramStatusAnswer {
  readonly kernel: KernelProgramAnswer | null;
  /** Only of a twin: the program for which it sits in a chain. bpfman made it, and takes it away. */
  readonly twin_of?: number;
  /** Only if another program was asked for, in whose place this one is. Not in the noun-verb grammar. */
  readonly replaces?: number;
  /** Null right after a load, and if the kernel collects no statistics and has collected none. */
  readonly stats: { readonly runtime: number; readonly run_count: number; readonly recursion_misses: number } | null;
  /** Paths; null for a program that bpfman did not load. */
  readonly prog_pin: string | null;
  readonly map_dir: string | null;
  readonly bytecode: string | null;
  /** What is on disk now. Omitted in the noun-verb grammar. */
  readonly prog_pin_present: boolean;
  readonly map_dir_present: boolean;
  readonly bytecode_present: boolean;
  readonly links: readonly LinkAnswer[];
  readonly maps: readonly MapAnswer[];
  readonly map_used_by: readonly number[];
}

export interface MapAnswer {
  readonly id: number;
  readonly name: string;
  readonly map_type: string;
  readonly key_size: number;
  readonly value_size: number;
  readonly max_entries: number;
  readonly flags: number;
  readonly btf_id: number;
  readonly has_btf_id: boolean;
  readonly map_extra: number;
  readonly has_map_extra: boolean;
  readonly memlock: number;
  readonly has_memlock: boolean;
  readonly frozen: boolean;
  readonly pin_path: string;
  readonly present: boolean;
}

/** A map with all that bpfman knows about it. `name` is the full one of maps of its programs. */
export interface MapStatusAnswer extends MapAnswer {
  /** One of bpfman's programs made it. */
  readonly managed: boolean;
  /** As C spells them: `struct flow`. Null if the types are not known, and in the summary view. */
  readonly key_type: string | null;
  readonly value_type: string | null;
  /** How many there are now; null if the kernel does not tell, or it would take long. */
  readonly entries: number | null;
  /** Those that bpfman knows. */
  readonly pins: readonly string[];
  /** All programs that use it. */
  readonly programs: readonly number[];
}
export interface MapListAnswer {
  readonly maps: readonly MapStatusAnswer[];
}

/**
 * Keys and values are JSON by their types (docs/howto/maps.md), or bytes in hex. Queues and stacks have no keys; values are null
 * where the kernel does not tell them.
 */
export interface MapEntryAnswer {
  readonly key?: unknown;
  readonly value?: unknown;
  /** Instead of `value`, for maps with a value for each possible processor. */
  readonly values?: readonly { readonly cpu: number; readonly value: unknown }[];
}
export interface MapLookupAnswer extends MapEntryAnswer {
  readonly map_id: number;
}
export interface MapDumpAnswer {
  readonly map_id: number;
  readonly entries: readonly MapEntryAnswer[];
  /** The cursor of the request for the next page; null if this is the last one. */
  readonly next: string | null;
}
/**
 * One event, by its type as JSON; as bytes in hex if there is no type, or it does not have that size. Or how many events were
 * lost in this place: null if the kernel does not count them, so that it may have been none.
 */
export interface MapEventAnswer {
  /** The processor that put it out, for perf buffers. */
  readonly cpu?: number;
  /** Which of several types the event has, as C spells it. */
  readonly type?: string;
  readonly event?: unknown;
  readonly raw?: string;
  readonly lost?: number | null;
}
/** How reading a source that has no end was ended: by a number or a time that was given, or because nobody wanted more. */
interface FollowedAnswer {
  readonly ended: "count" | "time" | "closed";
  readonly read: number;
  /** How many were lost; null if the kernel does not count them, and some may be. */
  readonly lost: number | null;
}
export interface MapEventsAnswer extends FollowedAnswer {
  readonly map_id: number;
  /** As C spells it; null if there is none, or several. */
  readonly type: string | null;
  /** All of them: each event has that of its size. */
  readonly types: readonly string[];
  /** Other processes that read the same buffer: each event goes to one of them. */
  readonly readers: readonly { readonly pid: number; readonly name: string }[];
  /** Empty if they were streamed. */
  readonly events: readonly MapEventAnswer[];
}
/** What a program printed, by which task, and when by the trace clock, which begins at boot. Or how many lines were lost. */
export interface TraceLineAnswer {
  readonly task?: string;
  readonly pid?: number;
  readonly cpu: number;
  readonly at_seconds?: number;
  readonly message?: string;
  readonly lost?: number;
}
export interface TraceAnswer extends FollowedAnswer {
  /** Empty if they were streamed. */
  readonly lines: readonly TraceLineAnswer[];
}
export interface MapChangeAnswer {
  readonly map_id: number;
  readonly name: string;
  /** How many entries were written or removed. */
  readonly changed: number;
}

interface NetworkDetailsAnswer {
  readonly interface: string;
  readonly ifindex: number;
  readonly priority: number;
  /** Position among bpfman's own links on the hook, from 0. */
  readonly position: number;
  readonly netns: string | null;
  readonly nsid: number;
}

type ChainDetailsAnswer = NetworkDetailsAnswer & {
  readonly proceed_on: readonly number[];
  readonly dispatcher_id: number;
  readonly revision: number;
};

interface ProbeDetailsAnswer {
  readonly fn_name: string;
  readonly offset: number;
  readonly retprobe: boolean;
}

/** Probes of all functions that a pattern matched when they were attached. */
interface ProbesDetailsAnswer {
  readonly pattern: string;
  readonly functions: number;
  readonly retprobe: boolean;
}

interface PerfEventDetailsAnswer {
  /** As perf list shows it: `page-faults`. */
  readonly event: string;
  readonly cpu: number | null;
  readonly pid: number | null;
  /** The program runs after so many events, or so many times per second; the other is null. */
  readonly period: number | null;
  readonly frequency: number | null;
}

interface CgroupDetailsAnswer {
  /** The directory, when it was attached to. */
  readonly cgroup: string;
  /** The inode of that directory. */
  readonly cgroup_id: number;
  /** In lower case, as in `kernel`: `cgroup_inet4_connect`. */
  readonly attach_type: string;
  readonly priority: number;
  /** Position among bpfman's own links of this type on the cgroup, from 0. */
  readonly position: number;
}

interface NetfilterDetailsAnswer {
  /** `ipv4` or `ipv6`. */
  readonly protocol: string;
  /** `prerouting`, `input`, `forward`, `output`, `postrouting`. */
  readonly hook: string;
  /** Signed. */
  readonly priority: number;
  readonly defrag: boolean;
  readonly netns: string | null;
  readonly nsid: number;
}

interface UserProbeDetailsAnswer {
  readonly target: string;
  readonly fn_name: string | null;
  readonly offset: number;
  readonly pid: number | null;
  readonly retprobe: boolean;
  readonly container_pid: number | null;
}

/**
 * Whether what a link was attached to is still at its place, as the kernel and the files say now. Not in the noun-verb
 * grammar.
 */
export interface AttachmentAnswer {
  /** Null when that cannot be told: the namespace cannot be reached by its path, and the kernel has no link to ask. */
  readonly present: boolean | null;
  /** What has changed: the interface went, the path leads to another namespace or to none, the filter or file is not ours, another tool took the link off. */
  readonly reason:
    | "interface-gone"
    | "namespace-gone"
    | "filter-gone"
    | "filter-replaced"
    | "file-gone"
    | "file-replaced"
    | "cgroup-gone"
    | "detached"
    | null;
  /** What the interface is called now; null for other places, and where the name cannot be seen. */
  readonly interface: string | null;
}

/** An object type rather than an interface, so that each gets its own schema. */
type LinkRecordOf<Kind extends LinkKind, Details> = {
  readonly id: number;
  /** The same number under the name used everywhere else. Omitted in the noun-verb grammar. */
  readonly link_id: number;
  readonly program_id: number;
  readonly kernel_link_id: number | null;
  readonly kind: Kind;
  readonly pin_path: string | null;
  readonly details: Details;
  readonly created_at: string;
  readonly metadata: Metadata;
};

/** `kind` determines the details. */
export type LinkRecordAnswer =
  /** The mode is the hook's; null if it is not attached. Not in the noun-verb grammar. */
  | LinkRecordOf<"xdp", ChainDetailsAnswer & { readonly xdp_mode: XdpMode | null }>
  | LinkRecordOf<"tc", ChainDetailsAnswer & { readonly direction: string }>
  | LinkRecordOf<"tcx", NetworkDetailsAnswer & { readonly direction: string }>
  | LinkRecordOf<"tracepoint", { readonly group: string; readonly name: string }>
  | LinkRecordOf<"raw_tp", { readonly tracepoint: string }>
  | LinkRecordOf<"kprobe" | "kretprobe", ProbeDetailsAnswer>
  | LinkRecordOf<"uprobe" | "uretprobe", UserProbeDetailsAnswer>
  | LinkRecordOf<"fentry" | "fexit" | "fmod_ret", { readonly fn_name: string }>
  | LinkRecordOf<"freplace", { readonly target_program_id: number; readonly fn_name: string }>
  | LinkRecordOf<"tp_btf", { readonly tracepoint: string }>
  | LinkRecordOf<"kprobe.multi" | "kretprobe.multi", ProbesDetailsAnswer>
  | LinkRecordOf<
      "uprobe.multi" | "uretprobe.multi",
      ProbesDetailsAnswer & {
        readonly target: string;
        readonly pid: number | null;
        readonly container_pid: number | null;
      }
    >
  | LinkRecordOf<"iter", { readonly iterator: string; readonly map_id: number | null }>
  | LinkRecordOf<"perf_event", PerfEventDetailsAnswer>
  /** Without the `bpf_lsm_` prefix. */
  | LinkRecordOf<"lsm", { readonly hook_name: string }>
  | LinkRecordOf<CgroupKind, CgroupDetailsAnswer>
  | LinkRecordOf<"sk_lookup", { readonly netns: string | null; readonly nsid: number }>
  | LinkRecordOf<"netfilter", NetfilterDetailsAnswer>;

/** What the kernel reports for every link. */
interface AnyKernelLinkAnswer {
  readonly id: number;
  readonly program_id: number;
  /** Kernel words in lower case: `perf_event`, `tcx`, `xdp`, `tracing`. */
  readonly link_type: string;
  readonly attach_type: string | null;
}

/**
 * What the kernel reports for a link. Some kinds have more fields, as in struct bpf_link_info. 64-bit numbers (cookies,
 * addresses, counters) are written to JSON with all their digits. Fields missing from older kernels are 0.
 */
export type KernelLinkAnswer =
  | AnyKernelLinkAnswer
  /** XDP. The ifindex is 0 if the interface no longer exists. */
  | (AnyKernelLinkAnswer & { readonly ifindex: number })
  /** TCX. The revision is the hook's and grows with each change; null if the hook cannot be queried. */
  | (AnyKernelLinkAnswer & { readonly ifindex: number; readonly revision: number | null })
  /**
   * Functions of the kernel and of programs. The object is the extended program (a slot of a dispatcher), or the BTF
   * that describes the function.
   */
  | (AnyKernelLinkAnswer & {
      readonly target_obj_id: number;
      readonly target_btf_id: number;
      readonly cookie: number;
    })
  | (AnyKernelLinkAnswer & {
      readonly perf_event_type: "kprobe" | "kretprobe";
      readonly function: string;
      /** Bytes from the start of the function. */
      readonly offset: number;
      /** 0 if the kernel hides addresses. */
      readonly kprobe_address: number;
      /** How many hits were missed because the program could not run. */
      readonly kprobe_missed: number;
      readonly cookie: number;
    })
  | (AnyKernelLinkAnswer & {
      readonly perf_event_type: "uprobe" | "uretprobe";
      readonly file: string;
      /** Bytes from the start of the file. */
      readonly offset: number;
      readonly cookie: number;
    })
  | (AnyKernelLinkAnswer & {
      readonly perf_event_type: "tracepoint";
      readonly tracepoint: string;
      readonly cookie: number;
    })
  /** The event's name in bpfman; null for one that it does not know. */
  | (AnyKernelLinkAnswer & {
      readonly perf_event_type: "event";
      readonly event: string | null;
      readonly cookie: number;
    })
  | (AnyKernelLinkAnswer & { readonly iterator: string; readonly map_id: number | null })
  /** Probes of several functions, in Linux 6.6 and 6.8 and newer; `missed` as for kprobes. */
  | (AnyKernelLinkAnswer & { readonly functions: number; readonly retprobe: boolean; readonly missed: number })
  | (AnyKernelLinkAnswer & { readonly functions: number; readonly retprobe: boolean; readonly file: string })
  /** Raw tracepoints. */
  | (AnyKernelLinkAnswer & { readonly tracepoint: string; readonly cookie: number })
  /** Cgroups. The ID is 0 once the cgroup has been removed; the program of such a link no longer runs. */
  | (AnyKernelLinkAnswer & { readonly cgroup_id: number })
  /** Network namespaces. The inode is 0 once the namespace is gone. */
  | (AnyKernelLinkAnswer & { readonly netns_ino: number })
  /** The numbers of NFPROTO_* and NF_INET_*. */
  | (AnyKernelLinkAnswer & {
      readonly pf: number;
      readonly hooknum: number;
      readonly priority: number;
      readonly flags: number;
    });

export interface LinkAnswer {
  readonly record: LinkRecordAnswer;
  readonly status: {
    readonly kernel: KernelLinkAnswer | null;
    readonly kernel_seen: boolean;
    readonly pin_present: boolean;
    /** The program's full name, for text output; null if its row no longer exists. */
    readonly function_name: string | null;
    /** Null for what cannot go from its place. Not in the noun-verb grammar. */
    readonly attachment: AttachmentAnswer | null;
  };
}

export interface LinkReadAnswer {
  readonly link_id: number;
  /** Base64. */
  readonly output: string;
  /** The offset of the next page; null at the end. */
  readonly next: number | null;
}

/** What became of a program or link of an earlier boot. One that waits has a reason, and is tried again by the next `restore`. */
export interface RestoredAnswer {
  readonly result: "restored" | "planned" | "waiting" | "forgotten";
  /** The code of the error, and its message. */
  readonly code: string | null;
  readonly reason: string | null;
}
export interface RestoredProgramAnswer extends RestoredAnswer {
  /** The ID that it had. */
  readonly was: number;
  /** The ID that it has now; null if it was not restored. */
  readonly program_id: number | null;
  readonly name: string;
  readonly application: string | null;
}
export interface RestoredLinkAnswer extends RestoredAnswer {
  readonly link_id: number;
  /** Its program now; null if that was not restored. */
  readonly program_id: number | null;
  readonly place: string;
}
export interface RestoreAnswer {
  readonly dry_run: boolean;
  readonly programs: readonly RestoredProgramAnswer[];
  readonly links: readonly RestoredLinkAnswer[];
}

export interface LoadAnswer {
  readonly programs: readonly ProgramAnswer[];
}

/** The programs in the order in which they were named, and the link of each. */
export interface RunAnswer {
  readonly programs: readonly ProgramAnswer[];
  readonly links: readonly LinkAnswer[];
}

/** In the order in which the programs were named. */
export interface ReplaceAnswer {
  readonly replaced: readonly {
    readonly old_program_id: number;
    readonly program: ProgramAnswer;
    /** Without a gap: at any moment, one of the two programs ran. */
    readonly swapped_links: readonly number[];
    /** Both programs ran for a moment. */
    readonly overlapped_links: readonly number[];
    /** By their names in the object, with what they hold. */
    readonly kept_maps: readonly string[];
    readonly new_maps: readonly string[];
  }[];
}

/**
 * What is wrong with a program or link that should be pinned: it is neither pinned nor in the kernel; it is in the kernel,
 * but its pin was removed; or another object is pinned in its place. Null if nothing is.
 */
export type PinState = "gone" | "unpinned" | "foreign" | null;

export interface ProgramListEntry {
  readonly program_id: number;
  /** False for programs that bpfman did not load. */
  readonly managed: boolean;
  readonly application: string | null;
  /** bpfman's type for managed programs; for others the kernel's word, as in `kernel.program_type`. */
  readonly type: string;
  readonly function_name: string;
  readonly links: readonly number[];
  /** Null for unmanaged programs. Not in the noun-verb grammar. */
  readonly state: PinState;
  /** Null for unmanaged programs and in the summary view, as is `kernel`. */
  readonly record: ProgramRecordAnswer | null;
  readonly kernel: KernelProgramAnswer | null;
  /** The same `kernel`, where the answer for a single program has it. Omitted in the noun-verb grammar. */
  readonly status: { readonly kernel: KernelProgramAnswer | null };
}
export interface ProgramListAnswer {
  readonly programs: readonly ProgramListEntry[];
}

export interface LinkListAnswer {
  readonly links: readonly (LinkRecordAnswer & {
    readonly application: string | null;
    readonly function_name: string;
    /** Null also for links without a pin of their own. Not in the noun-verb grammar. */
    readonly state: PinState;
    /** Null for what cannot go from its place. Not in the noun-verb grammar. */
    readonly attachment: AttachmentAnswer | null;
  })[];
}

export interface DispatcherAnswer {
  readonly key: { readonly type: string; readonly nsid: number; readonly ifindex: number };
  readonly interface: string;
  readonly revision: number;
  /** The only program on the hook runs there itself, or a dispatcher runs its members. */
  readonly mode: "direct" | "chain";
  readonly runtime: {
    readonly program_id: number | null;
    /** XDP only. */
    readonly kernel_link_id?: number | null;
    readonly mode?: string | null;
    /** TC only. */
    readonly filter_priority?: number | null;
    readonly filter_handle?: number | null;
    readonly netns_path: string | null;
  };
  readonly member_count: number;
  /** Only of a dispatcher that another tool put there: what is in its slots, in order. */
  readonly foreign_members?: readonly ForeignMemberAnswer[];
}

export interface ForeignMemberAnswer {
  readonly position: number;
  readonly program_id: number;
  readonly program_name: string;
  readonly kernel_link_id: number;
  /** From the dispatcher's configuration, as is `proceed_on`. Null where its layout is not the known one. */
  readonly priority: number | null;
  /** The mask of actions (bit = action) after which the next member runs, unsigned: libxdp's chain call actions. */
  readonly proceed_on: number | null;
}

/** With what is there now. */
export interface SeenDispatcherAnswer extends DispatcherAnswer {
  /** Not in the noun-verb grammar. */
  readonly attachment: AttachmentAnswer;
}

export interface DispatcherMemberAnswer {
  readonly program_id: number;
  readonly program_name: string;
  readonly prog_pin_path: string;
  readonly link_id: number;
  readonly kernel_link_id: number | null;
  readonly link_pin_path: string | null;
  readonly position: number;
  readonly priority: number;
  /** The mask the dispatcher uses for this slot, unsigned. */
  readonly proceed_on: number;
  readonly ifname: string;
  readonly metadata: Metadata;
}

export interface DispatcherListAnswer {
  readonly dispatchers: readonly SeenDispatcherAnswer[];
}
/** Members in order of position. */
export interface DispatcherDetailAnswer extends SeenDispatcherAnswer {
  readonly members: readonly DispatcherMemberAnswer[];
}

export interface UnloadAnswer {
  /** Null if it was given by a name that no program has, and missing ones are ignored. */
  readonly program_id: number | null;
  readonly detached: readonly number[];
  /** False if the ID did not exist and missing IDs are ignored. */
  readonly unloaded: boolean;
  /** Only if the program had gone without bpfman, or an earlier unload was killed: this one removed what was left. */
  readonly already_gone?: true;
}
export interface VolumeAnswer {
  readonly volume_id: string;
  readonly target_path: string;
  /** What its programs have as metadata `bpfman.io/ProgramName`. */
  readonly program: string;
  /** Names of its maps, ascending. */
  readonly maps: readonly string[];
  readonly read_only: boolean;
  /** The group that may use the maps; null is only root. */
  readonly group: number | null;
  /** False if it was published already. */
  readonly published: boolean;
}
export interface VolumeRemovalAnswer {
  readonly volume_id: string;
  /** False if it was not published there. */
  readonly unpublished: boolean;
}
/** What a deletion removed, in order of removal. */
export interface DeleteAnswer {
  readonly deleted: readonly number[];
  /** Links of those programs, and the link that was named. */
  readonly detached: readonly number[];
  /** Whether the bpffs is gone; absent if unmounting was not requested. */
  readonly unmounted?: boolean;
}
export interface DeleteDispatcherAnswer {
  readonly key: DispatcherAnswer["key"];
  readonly detached: readonly number[];
}
export interface DetachAnswer {
  /** Null if it was given by a name that fits no link, and missing ones are ignored. */
  readonly link_id: number | null;
  readonly detached: boolean;
  /** As in the answer of an unload. */
  readonly already_gone?: true;
}

/** What was changed, or failed to change; the newest entry last. */
export interface HistoryAnswer {
  readonly operations: readonly HistoryEntryAnswer[];
}
export interface HistoryEntryAnswer {
  readonly id: number;
  /** When it started. */
  readonly at: string;
  /** As in /proc/sys/kernel/random/boot_id. IDs of programs are only unique within a boot. */
  readonly boot_id: string;
  readonly user: {
    /** The user the command ran as. */
    readonly uid: number;
    /** Who logged in, which sudo and su keep; null for services. */
    readonly login_uid: number | null;
    /** Who called sudo; null without it. */
    readonly sudo_uid: number | null;
  };
  /** The process that started the command or the session. */
  readonly parent: { readonly pid: number; readonly command: string | null };
  /**
   * As in `methods` of `initialize`; or `recovery`, for what was cleaned up after killed commands; or `session/end`.
   */
  readonly operation: string;
  /** Programs and links that it named, made or removed. */
  readonly programs: readonly number[];
  readonly links: readonly number[];
  /** The hook: `tcx eth0 ingress`. */
  readonly place: string | null;
  /** The file or image that programs were loaded from. */
  readonly source: string | null;
  /** `ok`, or the code of the error. */
  readonly result: string;
  readonly message: string | null;
  /** In microseconds. */
  readonly duration_us: number;
  /** Of a load: instructions that the verifier processed, and the duration of the system calls in microseconds. */
  readonly verification: { readonly instructions: number; readonly load_us: number | null } | null;
}

/** The candidates for a word of a command line. */
export interface CompleteAnswer {
  readonly values: readonly { readonly value: string; readonly description: string }[];
}

/** Whether a feature works here. If not, the reason: an errno name or a short text. */
export interface FeatureAnswer {
  readonly available: boolean;
  readonly reason: string | null;
}

/** What this kernel lets this process do, each feature tested (src/kernel/explain/features.ts). */
export interface FeaturesAnswer {
  readonly ext: FeatureAnswer;
  readonly tracing: FeatureAnswer;
  readonly lsm: { readonly load: FeatureAnswer; readonly active: FeatureAnswer };
  readonly tcx: FeatureAnswer;
  readonly kprobe: FeatureAnswer;
  readonly perf_link: FeatureAnswer;
  readonly btf: FeatureAnswer;
  readonly jit: FeatureAnswer;
  readonly bpffs: FeatureAnswer;
  readonly lockdown: "none" | "integrity" | "confidentiality" | null;
  readonly capabilities: readonly string[];
}

export interface VersionAnswer {
  readonly version: string;
  readonly commit: string;
  readonly bun: string;
  /** `1.1`; null if libbpf is not installed. */
  readonly libbpf: string | null;
  /** `uname -r`. */
  readonly kernel: string;
  /** `uname -m`. */
  readonly arch: string;
  /** Null if not requested, without root, or if no system call can be made. */
  readonly features: FeaturesAnswer | null;
}

/** Something that is not as it should be (src/domain/finding.ts). */
export interface FindingAnswer {
  readonly code: FindingCode;
  readonly severity: Severity;
  /** What was found, as in `link 5 is recorded on eth0, which no longer exists`. */
  readonly what: string;
  /** IDs, paths and values that were compared. */
  readonly evidence: Readonly<Record<string, EvidenceAnswer>>;
  readonly consequence: string;
  /** What to do. */
  readonly remedy: string;
  /** What `repair` does about it; null if it leaves it to the user. */
  readonly repair: string | null;
}
export type EvidenceAnswer = string | number | boolean | null | readonly (string | number)[];

/** A fact about the machine or about what is recorded that is no fault. */
export interface NoteAnswer {
  /** `features`, `other-tool`, `unknown-bytecode`, …: what it is about. */
  readonly subject: string;
  readonly what: string;
}
export interface DoctorAnswer {
  readonly findings: readonly FindingAnswer[];
  readonly notes: readonly NoteAnswer[];
  /** How much was looked at. */
  readonly checked: { readonly programs: number; readonly links: number; readonly dispatchers: number };
  readonly machine: VersionAnswer;
}

/** One thing that `repair` did, or would do. */
export interface RepairStepAnswer {
  readonly code: FindingCode;
  readonly what: string;
  /** What was done about it. */
  readonly action: string;
  readonly result: "planned" | "done" | "failed";
  /** Why it failed. */
  readonly reason: string | null;
}
export interface RepairAnswer {
  readonly dry_run: boolean;
  readonly steps: readonly RepairStepAnswer[];
  /** What could not be brought back, and other things to know about the steps. */
  readonly notes: readonly NoteAnswer[];
  /** What `doctor` finds now. */
  readonly findings: readonly FindingAnswer[];
}

/** What an apply changes, or finds as it is to be. */
export interface ApplyChangeAnswer {
  readonly action:
    | "load"
    | "replace"
    | "reload"
    | "attach"
    | "update"
    | "move"
    | "label"
    | "detach"
    | "unload"
    | "unchanged";
  readonly program: string;
  /** Null for a program that is only planned. */
  readonly program_id: number | null;
  /** Null for a link that is only planned, and for programs. */
  readonly link_id: number | null;
  /** Where a link is attached: `tcx eth0 ingress`. */
  readonly place: string | null;
  readonly differences: readonly {
    readonly what: string;
    readonly from: string | number | null;
    readonly to: string | number | null;
  }[];
  readonly reason: string | null;
}
export interface ApplyAnswer {
  readonly dry_run: boolean;
  /** In the order in which they are applied; null for what belongs to none. */
  readonly applications: readonly {
    readonly application: string | null;
    readonly changes: readonly ApplyChangeAnswer[];
  }[];
  /** Where interfaces that come later would be attached to: paths of namespaces; null for the caller's own. */
  readonly watched: readonly (string | null)[];
  /** Whether namespaces that come later would be, too. */
  readonly watches_namespaces: boolean;
}
export interface ExportAnswer {
  /** The document, by docs/desired-state.schema.json. */
  readonly document: Readonly<Record<string, unknown>>;
  /** The same as text, with comments. */
  readonly yaml: string;
  /** Whether it can be applied on another host: it names no files, or they are in the bundle. */
  readonly portable: boolean;
  /** Absolute paths of the files of the bundle; empty without one. */
  readonly files: readonly string[];
  /** What a document cannot say, in words. */
  readonly left: readonly string[];
}
