import { withObject } from "../../../ffi/safe/bpf.ts";
import { firstMapIn, firstValueIn } from "../../../ffi/safe/map-elements.ts";
import { mapInfo } from "../../../ffi/safe/object-info.ts";
import { MAP_KEYS_MAX } from "../../domain/limits.ts";
import type { KernelMapContent } from "../../platform/kernel.ts";
import { readBtf, readMap } from "../read-info.ts";

/** BPF_MAP_TYPE_ARRAY_OF_MAPS, BPF_MAP_TYPE_HASH_OF_MAPS (include/uapi/linux/bpf.h). */
const MAPS_OF_MAPS = [12, 13];
/** BPF_MAP_TYPE_ARRAY. */
const ARRAY = 2;

/** Returns the bytes of an array's first value, such as those of a `.rodata`; null for a map of another type. */
export function readFirstValue(fd: number): Uint8Array | null {
  const { type, valueSize } = mapInfo(fd);
  return type === ARRAY ? firstValueIn(fd, valueSize) : null;
}

/** Returns what the kernel reports about the contents of a map: an inner map, and the types of keys and values. */
export function readMapContent(fd: number): KernelMapContent {
  const { type, keySize, btfId, keyTypeId, valueTypeId } = mapInfo(fd);
  const id = MAPS_OF_MAPS.includes(type) ? firstMapIn(fd, { keyBytes: keySize, keysMax: MAP_KEYS_MAX }) : null;
  const inner = id === null ? null : withObject("map", id, readMap);
  if (btfId === 0 || valueTypeId === 0) return { inner, types: null };
  const btf = readBtf(btfId);
  return { inner, types: btf && { btf, key: keyTypeId, value: valueTypeId } };
}
