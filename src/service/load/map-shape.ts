/** Whether a map that is there can stand for one that an object defines. */
import { mapTypeJson } from "../../domain/kernel-words.ts";
import type { ObjectMap } from "../../domain/object-file.ts";
import { BpfmanError } from "../../errors/error.ts";
import { layoutDifferences } from "../../object/object-file.ts";
import type { KernelMap, KernelMapContent } from "../../platform/kernel.ts";

/** BPF_MAP_TYPE_* (include/uapi/linux/bpf.h) that the kernel or libbpf do not take as they are written down. */
const TYPE = {
  perfEventArray: 4,
  lruHash: 9,
  lruPercpuHash: 10,
  devmap: 14,
  cgroupStorage: 19,
  percpuCgroupStorage: 21,
  skStorage: 24,
  devmapHash: 25,
  structOps: 26,
  ringbuf: 27,
  inodeStorage: 28,
  taskStorage: 29,
  userRingbuf: 31,
  cgroupStorageOfBpf: 32,
} as const;

/** The last type whose need of a size is known: BPF_MAP_TYPE_ARENA (Linux 6.9). */
const TYPE_KNOWN_MAX = 33;
/** What takes no size, or gets one from libbpf: an entry for each processor. */
const WITHOUT_SIZE: ReadonlySet<number> = new Set([
  TYPE.perfEventArray,
  TYPE.cgroupStorage,
  TYPE.percpuCgroupStorage,
  TYPE.skStorage,
  TYPE.structOps,
  TYPE.inodeStorage,
  TYPE.taskStorage,
  TYPE.cgroupStorageOfBpf,
]);

/** Whether the kernel refuses a map of this type that has room for nothing. */
export const needsSize = (type: number): boolean => type <= TYPE_KNOWN_MAX && !WITHOUT_SIZE.has(type);

const F_NO_COMMON_LRU = 1 << 1;
/** About the descriptor that is made with the map: the kernel does not keep them. */
const F_RDONLY = 1 << 3;
const F_WRONLY = 1 << 4;
/** Maps of devices always have it, whether it was asked for or not. */
const F_RDONLY_PROG = 1 << 7;

/** NR_CPUS of the largest kernels: a separate LRU list for each has its size rounded up to their number. */
const CPUS_MAX = 8192;
/** The largest pages that a kernel can have: ring buffers have a power of two of them. */
const PAGE_BYTES_MAX = 65_536;

/** With `values.` before it: of the maps that stand in a map of maps. */
type Field = string;

export interface ShapeDifference {
  readonly field: Field;
  readonly object: string | number;
  readonly kernel: string | number;
}

/** A size that the object leaves open fits any. */
const open = (wanted: number | null): boolean => wanted === null || wanted === 0;

function sizeFits(wanted: ObjectMap, there: KernelMap): boolean {
  const { maxEntries: asked, type, flags } = wanted;
  const { maxEntries: found } = there;
  if (asked === null || asked === 0 || asked === found) return true;
  if (type === TYPE.ringbuf || type === TYPE.userRingbuf) {
    const powerOfTwo = Number.isInteger(Math.log2(found));
    return powerOfTwo && found > asked && found < Math.max(2 * asked, 2 * PAGE_BYTES_MAX);
  }
  const rounded = (type === TYPE.lruHash || type === TYPE.lruPercpuHash) && (flags & F_NO_COMMON_LRU) !== 0;
  return rounded && Math.abs(found - asked) < CPUS_MAX;
}

function flagsKept({ type, flags }: Pick<ObjectMap, "type" | "flags">): number {
  const kept = flags & ~(F_RDONLY | F_WRONLY);
  return (type === TYPE.devmap || type === TYPE.devmapHash ? kept & ~F_RDONLY_PROG : kept) >>> 0;
}

const hex = (flags: number): string => `0x${flags.toString(16)}`;

/** Where the two differ in what the kernel keeps of a map; what libbpf compares before it takes a pinned one. */
export function shapeDifferences(wanted: ObjectMap, there: KernelMap): ShapeDifference[] {
  const same = (asked: number | null, found: number): boolean => open(asked) || asked === found;
  const fields: readonly [same: boolean, ShapeDifference][] = [
    [wanted.type === there.type, { field: "type", object: mapTypeJson(wanted.type), kernel: mapTypeJson(there.type) }],
    [same(wanted.keySize, there.keySize), { field: "key_size", object: wanted.keySize ?? 0, kernel: there.keySize }],
    [
      same(wanted.valueSize, there.valueSize),
      { field: "value_size", object: wanted.valueSize ?? 0, kernel: there.valueSize },
    ],
    [sizeFits(wanted, there), { field: "max_entries", object: wanted.maxEntries ?? 0, kernel: there.maxEntries }],
    [
      flagsKept(wanted) === flagsKept(there),
      { field: "map_flags", object: hex(flagsKept(wanted)), kernel: hex(flagsKept(there)) },
    ],
    [wanted.extra === there.mapExtra, { field: "map_extra", object: wanted.extra, kernel: there.mapExtra }],
  ];
  return fields.filter(([fits]) => !fits).map(([, difference]) => difference);
}

/** BPF_MAP_TYPE_ARRAY, and BPF_F_INNER_MAP, which lets arrays of other sizes stand in one map. */
const ARRAY = 2;
const F_INNER_MAP = 1 << 12;

/** Where maps that would be put into a map of maps differ from one in it; the kernel takes hashes of any size. */
function innerDifferences(wanted: ObjectMap, there: KernelMap): ShapeDifference[] {
  const sized = wanted.type === ARRAY && (wanted.flags & F_INNER_MAP) === 0;
  return shapeDifferences(wanted, there)
    .filter(({ field }) => sized || field !== "max_entries")
    .map((difference) => ({ ...difference, field: `values.${difference.field}` }));
}

/** Where what the two hold differs, as far as both say: maps in maps, and the types of keys and values. */
function contentDifferences(wanted: ObjectMap, { content, bytes }: Content): ShapeDifference[] {
  const { inner, types } = content;
  const inside = inner === null || wanted.inner === null ? [] : innerDifferences(wanted.inner, inner);
  return [...inside, ...(types === null ? [] : layoutDifferences(bytes, wanted.name, types))];
}

interface Content {
  readonly content: KernelMapContent;
  /** The object's bytes. */
  readonly bytes: Uint8Array;
}

/** A map that is there, and where: its pin, or what else it is known by. */
export interface There {
  readonly map: KernelMap;
  readonly path: string | null;
  /** As in "cannot be shared with …". */
  readonly owner: string;
}

/** Throws MAP_MISMATCH, which says everything that differs. */
export function requireSameShape(wanted: ObjectMap, { map, path, owner }: There, content: Content | null): void {
  const outside = shapeDifferences(wanted, map);
  // If sizes differ, the types would tell nothing more.
  const differences = outside.length > 0 || content === null ? outside : contentDifferences(wanted, content);
  if (differences.length === 0) return;
  const told = differences.map(
    ({ field, object, kernel }) => `${field} is ${object} in the object and ${kernel} in the kernel`,
  );
  const onlySize = differences.every(({ field }) => field === "max_entries");
  throw new BpfmanError("MAP_MISMATCH", `map "${wanted.name}" cannot be shared with ${owner}: ${told.join("; ")}`, {
    details: { map: wanted.name, map_id: map.id, pin: path, differences },
    hint: onlySize
      ? `take it as it is with --map-entries ${wanted.name}=${map.maxEntries}, or remove ${path ?? "it"} when nobody needs it`
      : "make both definitions agree, or load without sharing",
  });
}
