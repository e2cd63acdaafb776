/**
 * The facts about each kind of program, one row per kind. Every plain fact that depends on the kind is read from here.
 * What has to be written for a kind (request, service, kernel code, command) is reached by switches without a default,
 * which do not compile while a kind is missing.
 */

import type { Capability } from "./capabilities.ts";
import type { KernelAttachType, KernelProgramType } from "./kernel-words.ts";

/** What a section specifies beyond its kind. Missing facts are inherited from the kind. */
export interface SectionFacts {
  /** BPF_PROG_TYPE_* and BPF_* attach type, where they differ between sections of one kind. */
  readonly programType?: KernelProgramType;
  readonly expectedAttachType?: KernelAttachType;
  /** XDP: the program supports multi-buffer packets (BPF_F_XDP_HAS_FRAGS). */
  readonly frags?: true;
}

export interface KindFacts {
  /** With its article, as in "an XDP program" and "an XDP link". */
  readonly display: string;
  /**
   * The word after `attach ID`; null for kinds that are only loaded, because a kernel map or another program runs them.
   */
  readonly attachKind: string | null;
  /** Several programs can share a hook, run by bpfman's dispatcher as extensions. */
  readonly chained: boolean;
  /**
   * The target function is chosen at load time (third part of `--programs`): the verifier checks the program against
   * it.
   */
  readonly needsFunction: boolean;
  /** Kinds that are the same program type to the kernel. Named after the kind whose sections stand for all of them. */
  readonly family: string | null;
  /**
   * Within the family, true if the section decides the kind unless the request insists; false if the request decides.
   */
  readonly sectionDecides: boolean;
  /** BPF_PROG_TYPE_* */
  readonly programType: KernelProgramType;
  /** The BPF_* attach type the program is loaded with; null for none. */
  readonly expectedAttachType: KernelAttachType | null;
  /**
   * The capability the kernel requires for loading and attaching, besides CAP_BPF (is_net_admin_prog_type,
   * is_perfmon_prog_type).
   */
  readonly capability: "CAP_NET_ADMIN" | "CAP_PERFMON";
  /**
   * ELF sections: full names (`xdp/devmap`), or the part before the first slash. libbpf does not need to know them,
   * because bpfman sets the types above explicitly.
   */
  readonly sections: Readonly<Record<string, SectionFacts>>;
}

/** For kinds without a family. */
const ALONE = { family: null, sectionDecides: true } as const;
/** A program without an expected attach type can be attached both to clsact and to either side of TCX. */
const TC_FAMILY = { family: "tc", sectionDecides: false, programType: "SCHED_CLS", expectedAttachType: null } as const;
/** With the attach type of a multi-probe, they could not be attached to anything else. */
const PROBE = {
  chained: false,
  needsFunction: false,
  sectionDecides: true,
  programType: "KPROBE",
  expectedAttachType: null,
  capability: "CAP_PERFMON",
} as const;
const TRACING = {
  ...ALONE,
  chained: false,
  needsFunction: true,
  programType: "TRACING",
  capability: "CAP_PERFMON",
} as const;

/**
 * Keyed by the word on the command line. Sections follow libbpf (1.1 to 1.7) and the longer forms older loaders
 * accepted.
 */
export const KINDS = {
  xdp: {
    ...ALONE,
    display: "an XDP",
    attachKind: "xdp",
    chained: true,
    needsFunction: false,
    programType: "XDP",
    // None, for all of them: programs share a program array, take each other's place on a hook, and have twins in a
    // dispatcher only with those that expect the same.
    expectedAttachType: null,
    capability: "CAP_NET_ADMIN",
    sections: { xdp: {}, "xdp.frags": { frags: true } },
  },
  tc: {
    ...TC_FAMILY,
    display: "a TC",
    attachKind: "tc",
    chained: true,
    needsFunction: false,
    capability: "CAP_NET_ADMIN",
    // `action` holds TC programs, too.
    sections: { tc: {}, classifier: {}, action: {} },
  },
  tcx: {
    ...TC_FAMILY,
    display: "a TCX",
    attachKind: "tcx",
    chained: false,
    needsFunction: false,
    capability: "CAP_NET_ADMIN",
    sections: { tcx: {} },
  },
  tracepoint: {
    ...ALONE,
    display: "a tracepoint",
    attachKind: "tracepoint",
    chained: false,
    needsFunction: false,
    programType: "TRACEPOINT",
    expectedAttachType: null,
    capability: "CAP_PERFMON",
    sections: { tracepoint: {}, tp: {} },
  },
  kprobe: {
    ...PROBE,
    family: "kprobe",
    display: "a kprobe",
    attachKind: "kprobe",
    sections: { kprobe: {}, ksyscall: {} },
  },
  kretprobe: {
    ...PROBE,
    family: "kprobe",
    display: "a kretprobe",
    attachKind: "kprobe",
    sections: { kretprobe: {}, kretsyscall: {} },
  },
  uprobe: {
    ...PROBE,
    family: "uprobe",
    display: "a uprobe",
    attachKind: "uprobe",
    sections: { uprobe: {}, "uprobe.s": {} },
  },
  uretprobe: {
    ...PROBE,
    family: "uprobe",
    display: "a uretprobe",
    attachKind: "uprobe",
    sections: { uretprobe: {}, "uretprobe.s": {} },
  },
  fentry: {
    ...TRACING,
    display: "an fentry",
    attachKind: "fentry",
    expectedAttachType: "TRACE_FENTRY",
    sections: { fentry: {}, "fentry.s": {} },
  },
  fexit: {
    ...TRACING,
    display: "an fexit",
    attachKind: "fexit",
    expectedAttachType: "TRACE_FEXIT",
    sections: { fexit: {}, "fexit.s": {} },
  },
  lsm: {
    ...TRACING,
    display: "an LSM",
    attachKind: "lsm",
    programType: "LSM",
    expectedAttachType: "LSM_MAC",
    sections: { lsm: {}, "lsm.s": {} },
  },
  raw_tp: {
    ...ALONE,
    display: "a raw tracepoint",
    attachKind: "raw_tp",
    chained: false,
    needsFunction: false,
    programType: "RAW_TRACEPOINT",
    expectedAttachType: null,
    capability: "CAP_PERFMON",
    sections: {
      raw_tp: {},
      raw_tracepoint: {},
      "raw_tp.w": { programType: "RAW_TRACEPOINT_WRITABLE" },
      "raw_tracepoint.w": { programType: "RAW_TRACEPOINT_WRITABLE" },
    },
  },
} as const satisfies Readonly<Record<string, KindFacts>>;

/** The kinds of program that bpfman manages, as named on the command line. */
export type ProgramType = keyof typeof KINDS;
export const PROGRAM_TYPES = Object.keys(KINDS) as readonly ProgramType[] as readonly [ProgramType, ...ProgramType[]];

type KindsWith<Fact extends keyof KindFacts, Value> = {
  [Kind in ProgramType]: (typeof KINDS)[Kind][Fact] extends Value ? Kind : never;
}[ProgramType];

/** Kinds whose programs a dispatcher runs. */
export type ChainedKind = KindsWith<"chained", true>;
export const isChainedKind = (kind: ProgramType): kind is ChainedKind => KINDS[kind].chained;

/** The word after `attach ID` on the command line. */
export type AttachKind = NonNullable<(typeof KINDS)[ProgramType]["attachKind"]>;
export const ATTACH_KINDS = [
  ...new Set(PROGRAM_TYPES.flatMap((kind): AttachKind | [] => KINDS[kind].attachKind ?? [])),
];

/** Returns a kind's facts, for code that handles any kind. */
export const factsOf = (kind: ProgramType): KindFacts => KINDS[kind];

/** Returns the capabilities it takes to load and attach programs of a kind. */
export const capabilitiesOf = (kind: ProgramType): readonly Capability[] => ["CAP_BPF", factsOf(kind).capability];

/** Returns the kinds that a program in these sections can be loaded as. */
export const kindsOfSection = (kind: ProgramType): readonly ProgramType[] =>
  PROGRAM_TYPES.filter((each) => each === kind || (factsOf(each).family === kind && !factsOf(each).sectionDecides));

/** Splits a section such as `?tc/x` into the full name, the part before the first slash, and the rest. */
export function sectionParts(section: string) {
  // A leading `?` means "do not load automatically".
  const name = section.startsWith("?") ? section.slice(1) : section;
  const slash = name.indexOf("/");
  return {
    name,
    head: slash < 0 ? name : name.slice(0, slash),
    /** Null if there is none. */
    target: slash < 0 || slash === name.length - 1 ? null : name.slice(slash + 1),
  };
}

/**
 * Returns the facts a section specifies for a program loaded as this kind; empty if the section belongs to another
 * kind.
 */
export function sectionFacts({ sections }: Pick<KindFacts, "sections">, section: string): SectionFacts {
  const { name, head } = sectionParts(section);
  const known = [name, head].find((each) => Object.hasOwn(sections, each));
  return known === undefined ? {} : (sections[known] ?? {});
}
