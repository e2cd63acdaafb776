import { MAP_ELEMENT_ATTR } from "../layout/generated.ts";
import { encode } from "../layout/struct.ts";
import { addressOf, allocate, keepAlive } from "../memory.ts";
import { bpfOrNull } from "./bpf.ts";

const ID_BYTES = 4;
/** Of an index into an array map. */
const INDEX_BYTES = 4;

/** The value at a key; null when there is none. `bytes` is the size of the map's values. */
function lookUp(fd: number, key: ReturnType<typeof allocate>, bytes: number): Uint8Array | null {
  const value = allocate(bytes);
  const look = { map_fd: fd, key: addressOf(key), value: addressOf(value) };
  const found = bpfOrNull("MAP_LOOKUP_ELEM", encode(MAP_ELEMENT_ATTR, look)) !== null;
  keepAlive(key);
  return found ? value : null;
}

/** The first value of the array map behind `fd`, whose values have so many bytes. Throws SysError. */
export const firstValueIn = (fd: number, valueBytes: number): Uint8Array | null =>
  lookUp(fd, allocate(INDEX_BYTES), valueBytes);

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
    const value = lookUp(fd, key, ID_BYTES);
    const id = value === null ? 0 : new DataView(value.buffer).getUint32(0, true);
    if (id !== 0) return id;
    last = key;
  }
  return null;
}
