/**
 * What there is to know of each kind of program: one row for each. Everything that depends on the kind and is a plain
 * fact is read from here; what has to be written for a kind (its request, its service, its kernel file, its command) is
 * reached by switches without a default, which do not compile while a kind is missing.
 */

import type { KernelAttachType, KernelProgramType } from "./kernel-words.ts";

/** What a section says of a program beyond its kind; absent facts are those of the kind. */
export interface SectionFacts {
  /** BPF_PROG_TYPE_* and BPF_* attach type where sections of one kind differ in them. */
  readonly programType?: KernelProgramType;
  readonly expectedAttachType?: KernelAttachType;
  /** XDP: the program understands packets in several fragments (BPF_F_XDP_HAS_FRAGS). */
  readonly frags?: true;
}

export interface KindFacts {
  /** With its article, as in "an XDP program" and "an XDP link". */
  readonly display: string;
  /** What follows `attach ID`; null for kinds that are only loaded: a map of the kernel's or another program runs them. */
  readonly attachKind: string | null;
  /** Several programs share one hook by a dispatcher of ours, which calls them as extensions. */
  readonly chained: boolean;
  /** Where it goes is chosen at load, as the third part of `--programs`: the kernel verifies it against that function. */
  readonly needsFunction: boolean;
  /** Kinds that are one program to the kernel, called after the kind whose sections stand for all of them. */
  readonly family: string | null;
  /** Within the family the section decides, unless the request insists; else the request does. */
  readonly sectionDecides: boolean;
  /** BPF_PROG_TYPE_* */
  readonly programType: KernelProgramType;
  /** BPF_* attach type that the program is loaded with; null for none. */
  readonly expectedAttachType: KernelAttachType | null;
  /** What the kernel wants from its loader besides CAP_BPF (is_net_admin_prog_type, is_perfmon_prog_type). */
  readonly capability: "CAP_NET_ADMIN" | "CAP_PERFMON" | null;
  /**
   * ELF sections: whole names (`xdp/devmap`), or what stands before the first slash. They need not be known to libbpf,
   * which is told the types above.
   */
  readonly sections: Readonly<Record<string, SectionFacts>>;
}

/** For kinds that are no family. */
const ALONE = { family: null, sectionDecides: true } as const;
/** The kernel takes a program for clsact and for both sides of TCX alike if it expects no attach type. */
const TC_FAMILY = { family: "tc", sectionDecides: false, programType: "SCHED_CLS", expectedAttachType: null } as const;
/** With the attach type of a multi-probe they could be attached to nothing else. */
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

/** By the word of the command line. Sections follow libbpf (1.1 to 1.7) and the longer forms that older loaders took. */
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
    // `action` is a TC program all the same.
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
} as const satisfies Readonly<Record<string, KindFacts>>;

/** The kinds of program that bpfman manages, in the words of its command line. */
export type ProgramType = keyof typeof KINDS;
export const PROGRAM_TYPES = Object.keys(KINDS) as readonly ProgramType[] as readonly [ProgramType, ...ProgramType[]];

type KindsWith<Fact extends keyof KindFacts, Value> = {
  [Kind in ProgramType]: (typeof KINDS)[Kind][Fact] extends Value ? Kind : never;
}[ProgramType];

/** Kinds whose programs a dispatcher runs. */
export type ChainedKind = KindsWith<"chained", true>;
export const isChainedKind = (kind: ProgramType): kind is ChainedKind => KINDS[kind].chained;

/** What is named on the command line after `attach ID`. */
export type AttachKind = NonNullable<(typeof KINDS)[ProgramType]["attachKind"]>;
export const ATTACH_KINDS = [
  ...new Set(PROGRAM_TYPES.flatMap((kind): AttachKind | [] => KINDS[kind].attachKind ?? [])),
];

/** A kind's facts, for those that look at one fact of any kind. */
export const factsOf = (kind: ProgramType): KindFacts => KINDS[kind];

/** The kinds that a program of these sections can be asked for as. */
export const kindsOfSection = (kind: ProgramType): readonly ProgramType[] =>
  PROGRAM_TYPES.filter((each) => each === kind || (factsOf(each).family === kind && !factsOf(each).sectionDecides));

/** `?tc/x`: the name to look for, whole and as far as the first slash, and what stands behind it. */
export function sectionParts(section: string) {
  // A leading `?` only means "do not load unasked".
  const name = section.startsWith("?") ? section.slice(1) : section;
  const slash = name.indexOf("/");
  return {
    name,
    head: slash < 0 ? name : name.slice(0, slash),
    /** Null when there is nothing. */
    target: slash < 0 || slash === name.length - 1 ? null : name.slice(slash + 1),
  };
}

/** What a section says of a program that is loaded as this kind; nothing for a section that is not the kind's own. */
export function sectionFacts({ sections }: Pick<KindFacts, "sections">, section: string): SectionFacts {
  const { name, head } = sectionParts(section);
  const known = [name, head].find((each) => Object.hasOwn(sections, each));
  return known === undefined ? {} : (sections[known] ?? {});
}
