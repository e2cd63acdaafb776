/** Decides whether an existing map can be used in place of one that an object defines. */
import { mapTypeJson } from "../../domain/map-type-words.ts";
import type { ObjectMap } from "../../domain/object-file.ts";
import { BpfmanError } from "../../errors/error.ts";
import { layoutDifferences } from "../../object/object-file.ts";
import type { KernelMap, KernelMapContent } from "../../platform/kernel.ts";

/** BPF_MAP_TYPE_* (include/uapi/linux/bpf.h) whose definitions the kernel or libbpf change. */
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

/** The last type for which it is known whether it needs a size: BPF_MAP_TYPE_ARENA (Linux 6.9). */
const TYPE_KNOWN_MAX = 33;
/** Types that have no size, or get one from libbpf: one entry per processor. */
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

/** Reports whether the kernel rejects a map of this type with 0 entries. */
export const needsSize = (type: number): boolean => type <= TYPE_KNOWN_MAX && !WITHOUT_SIZE.has(type);

/** Reports whether a map is a struct of the kernel's hooks. */
export const isStruct = ({ type }: KernelMap): boolean => type === TYPE.structOps;

const F_NO_COMMON_LRU = 1 << 1;
/** Flags for the descriptor that is created with the map, which the kernel does not store. */
const F_RDONLY = 1 << 3;
const F_WRONLY = 1 << 4;
/** Device maps always have it, whether it was requested or not. */
const F_RDONLY_PROG = 1 << 7;

/** The highest NR_CPUS: with an LRU list per processor, the kernel rounds the size up to a multiple of their number. */
const CPUS_MAX = 8192;
/** The largest possible page: a ring buffer has a power of two of them. */
const PAGE_BYTES_MAX = 65_536;

/** With the prefix `values.` for the maps inside a map of maps. */
type Field = string;

export interface ShapeDifference {
  readonly field: Field;
  readonly object: string | number;
  readonly kernel: string | number;
}

/** A size that the object leaves open matches any size. */
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

/** Differences in what the kernel stores of a map, which is what libbpf compares before it uses a pinned one. */
function shapeDifferences(wanted: ObjectMap, there: KernelMap): ShapeDifference[] {
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

/** BPF_MAP_TYPE_ARRAY, and BPF_F_INNER_MAP, which lets arrays of different sizes be in one map. */
const ARRAY = 2;
const F_INNER_MAP = 1 << 12;

/** Differences between maps to be put into a map of maps and one already in it; the kernel accepts hashes of any size. */
function innerDifferences(wanted: ObjectMap, there: KernelMap): ShapeDifference[] {
  const sized = wanted.type === ARRAY && (wanted.flags & F_INNER_MAP) === 0;
  return shapeDifferences(wanted, there)
    .filter(({ field }) => sized || field !== "max_entries")
    .map((difference) => ({ ...difference, field: `values.${difference.field}` }));
}

/** Differences in the contents, as far as both are known: inner maps, and the types of keys and values. */
function contentDifferences(wanted: ObjectMap, { content, bytes }: Content): ShapeDifference[] {
  const { inner, types } = content;
  const inside = inner === null || wanted.inner === null ? [] : innerDifferences(wanted.inner, inner);
  return [...inside, ...(types === null ? [] : layoutDifferences(bytes, wanted.name, types))];
}

interface Content {
  readonly content: KernelMapContent;
  /** In the object. */
  readonly bytes: Uint8Array;
}

/** An existing map, and where it is: its pin, or something else that identifies it. */
export interface There {
  readonly map: KernelMap;
  readonly path: string | null;
  /** Who says that it is shared: a program that is its owner, the request, or, without either, the object, by its name. */
  readonly by?: "owner" | "request";
  /** As in "cannot be shared with …". */
  readonly owner: string;
}

/** Throws MAP_MISMATCH, which lists all differences. */
export function requireSameShape(wanted: ObjectMap, { map, path, owner, by }: There, content: Content | null): void {
  const outside = shapeDifferences(wanted, map);
  // If sizes differ, the rest would add nothing.
  const differences = outside.length > 0 || content === null ? outside : contentDifferences(wanted, content);
  if (differences.length === 0) return;
  const told = differences.map(
    ({ field, object, kernel }) => `${field} is ${object} in the object and ${kernel} in the kernel`,
  );
  const onlySize = differences.every(({ field }) => field === "max_entries");
  throw new BpfmanError("MAP_MISMATCH", `map "${wanted.name}" cannot be shared with ${owner}: ${told.join("; ")}`, {
    details: { map: wanted.name, map_id: map.id, pin: path, differences },
    hint: `${onlySize ? `accept its size with --map-entries ${wanted.name}=${map.maxEntries}` : "make both definitions agree"}${otherwise(wanted, path, by)}`,
  });
}

/** What else helps. A map that is shared by its name always is, as long as its pin is there. */
function otherwise({ name }: ObjectMap, path: string | null, by: There["by"]): string {
  if (by === "request") return `, or leave out --map ${name}`;
  return by === "owner" || path === null ? "" : `, or remove ${path} if nothing uses it any more`;
}
