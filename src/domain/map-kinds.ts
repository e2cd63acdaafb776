/** What can be done with the entries of each type of map (include/uapi/linux/bpf.h, enum bpf_map_type). */

export interface MapKind {
  /** Each processor has a value of its own. */
  readonly perProcessor: boolean;
  /** Keys are indexes from 0. */
  readonly indexed: boolean;
  /** All entries are always there: they can be changed, but not deleted. */
  readonly fixed: boolean;
  /** The kernel does not tell values. */
  readonly keysOnly: boolean;
  /** Entries with keys; a queue or stack of values; or values that can only be looked for. */
  readonly shape: "entries" | "queue" | "filter";
  /** What values hold by its ID, and where in the value. */
  readonly reference: {
    readonly kind: "map" | "program";
    readonly at: number;
    readonly required: boolean;
  } | null;
  /** Which values the kernel wants, as in "it takes …", and where those are listed; null if it takes any. */
  readonly wanted: { readonly takes: string; readonly seen: string | null } | null;
  /** Keys are prefixes, of which the longest counts. */
  readonly prefixes: boolean;
  /** Why entries cannot be read; null if they can. */
  readonly unreadable: string | null;
  /** Why entries cannot be changed from outside; null if they can. */
  readonly unwritable: string | null;
}

const ENTRIES: MapKind = {
  perProcessor: false,
  indexed: false,
  fixed: false,
  keysOnly: false,
  shape: "entries",
  reference: null,
  wanted: null,
  prefixes: false,
  unreadable: null,
  unwritable: null,
};

const state = (what: string): Partial<MapKind> => ({ unreadable: what, unwritable: what });
const INNER_MAP: Partial<MapKind> = {
  reference: { kind: "map", at: 0, required: true },
  wanted: { takes: "maps of the type and sizes of its inner map", seen: null },
};
const TYPES_SEEN = '"bpfman list programs" shows the types';
const PROGRAM_BEHIND = { kind: "program", at: 4, required: false } as const;
const DEVICE: Partial<MapKind> = {
  reference: PROGRAM_BEHIND,
  wanted: {
    takes: "the index of an interface of this network namespace, and no program but one of type xdp_devmap",
    seen: '"ip link" shows the indexes, "bpfman list programs" the types',
  },
};
const PROCESSOR: Partial<MapKind> = {
  reference: PROGRAM_BEHIND,
  // kernel/bpf/cpumap.c
  wanted: { takes: "a queue size of at most 16384, and no program but one of type xdp_cpumap", seen: TYPES_SEEN },
};
const SOCKETS = "sockets are put in by the process that has them open";
const STORAGE = "its values belong to objects of the kernel, and are found only through a descriptor of one";

/** By BPF_MAP_TYPE_* number. */
const KINDS: Readonly<Record<number, Partial<MapKind>>> = {
  2: { indexed: true, fixed: true },
  3: {
    indexed: true,
    reference: { kind: "program", at: 0, required: true },
    wanted: { takes: "programs of the type of its first one", seen: TYPES_SEEN },
  },
  4: state("it passes events to whoever reads them, and keeps none"),
  5: { perProcessor: true },
  6: { indexed: true, fixed: true, perProcessor: true },
  7: { unwritable: "only programs put stacks in" },
  8: state("the kernel does not tell which cgroups are in it"),
  10: { perProcessor: true },
  11: { prefixes: true },
  12: { indexed: true, ...INNER_MAP },
  13: INNER_MAP,
  14: { indexed: true, ...DEVICE },
  15: { indexed: true, unwritable: SOCKETS },
  16: { indexed: true, ...PROCESSOR },
  17: state("the kernel does not tell which sockets are in it"),
  18: { unwritable: SOCKETS },
  20: { indexed: true, unwritable: SOCKETS },
  21: { perProcessor: true },
  22: { shape: "queue" },
  23: { shape: "queue" },
  24: state(STORAGE),
  25: DEVICE,
  26: { indexed: true, fixed: true, unwritable: "its functions are set when it is loaded" },
  27: state("it passes events to whoever reads them, and reading takes them out"),
  28: state(STORAGE),
  29: state(STORAGE),
  30: { shape: "filter" },
  31: state("it passes events to programs, and keeps none"),
  32: state(STORAGE),
  33: state("it is memory that programs share, without entries"),
};

/** Types of sockets, which a lookup identifies by a cookie if there is room for one. */
const OF_SOCKETS: readonly number[] = [15, 18, 20];
const COOKIE_BYTES = 8;
/** A value with an optional program after its first number. */
const REFERENCE_END = 8;

/** What can be done with a map of that type and value size. */
export function mapKind({ type, valueSize }: { readonly type: number; readonly valueSize: number }): MapKind {
  const kind: MapKind = { ...ENTRIES, ...KINDS[type] };
  const lacksRoom = kind.reference?.required === false && valueSize < REFERENCE_END;
  return {
    ...kind,
    keysOnly: OF_SOCKETS.includes(type) && valueSize < COOKIE_BYTES,
    reference: lacksRoom ? null : kind.reference,
  };
}

const PERF_BUFFER = 4;
const RING_BUFFER = 27;

export const isRingBuffer = ({ type }: { readonly type: number }): boolean => type === RING_BUFFER;
/** Whether programs pass events to user space through such a map. */
export const hasEvents = ({ type }: { readonly type: number }): boolean => type === RING_BUFFER || type === PERF_BUFFER;
