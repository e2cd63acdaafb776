import { MAP_ELEMENT_ATTR } from "../layout/generated.ts";
import { encode } from "../layout/struct.ts";
import { addressOf, allocate, keepAlive } from "../memory.ts";
import { bpfOrNull } from "./bpf.ts";

const ID_BYTES = 4;

/** The value of an element of the array behind `fd`; null if there is none. Throws SysError. */
export function valueAt(fd: number, { key, valueBytes }: { key: number; valueBytes: number }): Uint8Array | null {
  const index = allocate(ID_BYTES);
  new DataView(index.buffer).setUint32(0, key, true);
  const value = allocate(valueBytes);
  const look = { map_fd: fd, key: addressOf(index), value: addressOf(value) };
  const found = bpfOrNull("MAP_LOOKUP_ELEM", encode(MAP_ELEMENT_ATTR, look)) !== null;
  keepAlive(index);
  return found ? value.slice(0, valueBytes) : null;
}

/**
 * The id of a map that stands in the map of maps behind `fd`; null when there is none under the first `keysMax` keys. Throws
 * SysError.
 */
export function firstMapIn(fd: number, { keyBytes, keysMax }: { keyBytes: number; keysMax: number }): number | null {
  let last: ReturnType<typeof allocate> | null = null;
  for (let tries = 0; tries < keysMax; tries++) {
    const key = allocate(Math.max(keyBytes, ID_BYTES));
    const next = { map_fd: fd, key: last === null ? 0 : addressOf(last), value: addressOf(key) };
    const isThere = bpfOrNull("MAP_GET_NEXT_KEY", encode(MAP_ELEMENT_ATTR, next)) !== null;
    if (last !== null) keepAlive(last);
    if (!isThere) return null;
    const value = allocate(ID_BYTES);
    const look = { map_fd: fd, key: addressOf(key), value: addressOf(value) };
    const found = bpfOrNull("MAP_LOOKUP_ELEM", encode(MAP_ELEMENT_ATTR, look)) !== null;
    keepAlive(key);
    const id = new DataView(value.buffer).getUint32(0, true);
    if (found && id !== 0) return id;
    last = key;
  }
  return null;
}
