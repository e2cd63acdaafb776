import { mapInfo } from "../../ffi/safe/object-info.ts";
import { mapId } from "../domain/ids.ts";
import type { KernelMap } from "../platform/kernel.ts";
import { descriptorFacts, memlockOf } from "./program-info.ts";

/** About the map behind `fd`. */
export function readMap(fd: number): KernelMap {
  const info = mapInfo(fd);
  const facts = descriptorFacts(fd);
  return {
    id: mapId(info.id),
    name: info.name,
    type: info.type,
    keySize: info.keySize,
    valueSize: info.valueSize,
    maxEntries: info.maxEntries,
    flags: info.flags,
    btfId: info.btfId,
    mapExtra: Number(info.extra),
    memlock: memlockOf(facts),
    frozen: facts.get("frozen") === "1",
  };
}
