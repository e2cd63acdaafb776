import type { MapAnswer } from "../domain/answer.ts";
import type { MapId } from "../domain/ids.ts";
import { mapTypeJson } from "../domain/kernel-words.ts";
import type { Host } from "../platform/host.ts";

/** A map's current state in the kernel; null if it no longer exists. `pinPath` is where bpfman pinned it, if it did. */
export function mapAnswer(host: Host, id: MapId, pinPath: string | null): MapAnswer | null {
  const map = host.kernel.map(id);
  if (map === null) return null;
  return {
    id: map.id,
    name: map.name,
    map_type: mapTypeJson(map.type),
    key_size: map.keySize,
    value_size: map.valueSize,
    max_entries: map.maxEntries,
    flags: map.flags,
    btf_id: map.btfId,
    has_btf_id: map.btfId !== 0,
    map_extra: map.mapExtra,
    has_map_extra: map.mapExtra !== 0,
    memlock: map.memlock ?? 0,
    has_memlock: map.memlock !== null,
    frozen: map.frozen,
    pin_path: pinPath ?? "",
    present: pinPath !== null && host.pins.exists(pinPath),
  };
}
