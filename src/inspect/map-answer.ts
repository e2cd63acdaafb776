import type { MapAnswer } from "../domain/answer.ts";
import type { MapId } from "../domain/ids.ts";
import { mapTypeJson } from "../domain/map-type-words.ts";
import { BpfmanError } from "../errors/error.ts";
import type { Host } from "../platform/host.ts";
import type { KernelMap } from "../platform/kernel.ts";

/** Maps of global variables have no pin, without which only CAP_SYS_ADMIN may look at a map: null for those. */
export function ifPermitted<T>(look: () => T | null): T | null {
  try {
    return look();
  } catch (thrown) {
    if (thrown instanceof BpfmanError && thrown.code === "PERMISSION_DENIED") return null;
    throw thrown;
  }
}

/** A map's current state in the kernel; null if it no longer exists. `pinPath` is where bpfman pinned it, if it did. */
export function mapAnswer(host: Host, id: MapId, pinPath: string | null): MapAnswer | null {
  const map = ifPermitted(() => host.kernel.map(id));
  return map && answerOf(host, map, pinPath);
}

export function answerOf(host: Host, map: KernelMap, pinPath: string | null): MapAnswer {
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
