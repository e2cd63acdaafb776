import { ERRNO } from "../errno.ts";
import { MAP_BATCH_ATTR, MAP_ELEMENT_ATTR } from "../layout/generated.ts";
import { decode, encode } from "../layout/struct.ts";
import { addressOf, allocate, keepAlive, type Memory } from "../memory.ts";
import { SysError } from "../sys-error.ts";
import { bpf, bpfOrNull } from "./bpf.ts";

const ID_BYTES = 4;
/** Of an index into an array map. */
const INDEX_BYTES = 4;
/** Room for a position in a batch: the kernel writes 4 bytes for hashes. */
const POSITION_BYTES_MIN = 8;

/** Adds an entry, changes it, or both: BPF_ANY, BPF_NOEXIST, BPF_EXIST. */
export const UPDATE = { any: 0, create: 1, existing: 2 } as const;

/** What bpf(2) says of maps that have no BPF_MAP_LOOKUP_BATCH; ENOTSUPP is the kernel's own number. */
const NO_BATCH: readonly number[] = [ERRNO.EINVAL, ERRNO.EOPNOTSUPP, 524];

/** Entries read at once. The next call may overwrite them. */
export interface ElementBatch {
  readonly keys: Memory;
  readonly values: Memory;
  readonly count: number;
  /** Where the next batch begins; null behind the last. */
  readonly next: Memory | null;
}

interface ElementSizes {
  /** 0 for queues and stacks. */
  readonly keyBytes: number;
  /** Of all processors' values, if each has its own. */
  readonly valueBytes: number;
}

/** The entries of the map behind a descriptor. All methods throw SysError. */
export class MapElements {
  readonly #fd: number;
  readonly #keyBytes: number;
  readonly #valueBytes: number;

  constructor(fd: number, { keyBytes, valueBytes }: ElementSizes) {
    this.#fd = fd;
    this.#keyBytes = keyBytes;
    this.#valueBytes = valueBytes;
  }

  #copy(bytes: Uint8Array, size: number): Memory {
    if (bytes.length !== size) throw new RangeError(`${bytes.length} bytes instead of ${size}`);
    const memory = allocate(Math.max(size, 1));
    memory.set(bytes);
    return memory;
  }

  #call<T>(key: Uint8Array | null, value: Memory | null, flags: number, call: (attr: Memory) => T): T {
    const ownKey = key === null ? null : this.#copy(key, this.#keyBytes);
    const attr = encode(MAP_ELEMENT_ATTR, {
      map_fd: this.#fd,
      key: ownKey === null ? 0 : addressOf(ownKey),
      value: value === null ? 0 : addressOf(value),
      flags,
    });
    const result = call(attr);
    if (ownKey !== null) keepAlive(ownKey);
    if (value !== null) keepAlive(value);
    return result;
  }

  /** The value; null if there is none. Without a key: the next one of a queue or stack, which stays there. */
  lookup(key: Uint8Array | null): Memory | null {
    const value = allocate(Math.max(this.#valueBytes, 1));
    return this.#call(key, value, 0, (attr) => bpfOrNull("MAP_LOOKUP_ELEM", attr)) === null ? null : value;
  }

  /** Whether a bloom filter may have the value. */
  contains(value: Uint8Array): boolean {
    return (
      this.#call(null, this.#copy(value, this.#valueBytes), 0, (attr) => bpfOrNull("MAP_LOOKUP_ELEM", attr)) !== null
    );
  }

  update(key: Uint8Array | null, value: Uint8Array, mode: keyof typeof UPDATE): void {
    this.#call(key, this.#copy(value, this.#valueBytes), UPDATE[mode], (attr) => bpf("MAP_UPDATE_ELEM", attr));
  }

  /** False if there was none. */
  delete(key: Uint8Array): boolean {
    return this.#call(key, null, 0, (attr) => bpfOrNull("MAP_DELETE_ELEM", attr)) !== null;
  }

  /** Takes the next value out of a queue or stack; false if there is none. */
  take(): boolean {
    const value = allocate(Math.max(this.#valueBytes, 1));
    return this.#call(null, value, 0, (attr) => bpfOrNull("MAP_LOOKUP_AND_DELETE_ELEM", attr)) !== null;
  }

  /**
   * Batches of up to `count` entries after `from`, all in the same memory. A hash can need more room for one of its buckets: up
   * to `most` entries. Returns null if this kernel has no batches for this kind of map.
   */
  batches(from: Uint8Array | null, { count, most }: { count: number; most: number }): (() => ElementBatch) | null {
    const positionBytes = Math.max(POSITION_BYTES_MIN, this.#keyBytes);
    let [keys, values] = [allocate(count * this.#keyBytes), allocate(count * this.#valueBytes)];
    let room = count;
    let at = from === null ? null : this.#padded(from, positionBytes);
    const read = (): ElementBatch => {
      for (;;) {
        const next = allocate(positionBytes);
        const attr = encode(MAP_BATCH_ATTR, {
          in_batch: at === null ? 0 : addressOf(at),
          out_batch: addressOf(next),
          keys: addressOf(keys),
          values: addressOf(values),
          count: room,
          map_fd: this.#fd,
        });
        try {
          const isEnd = bpfOrNull("MAP_LOOKUP_BATCH", attr) === null;
          keepAlive(keys, values, next, ...(at === null ? [] : [at]));
          at = next;
          return { keys, values, count: decode(MAP_BATCH_ATTR, attr).u32("count"), next: isEnd ? null : next };
        } catch (thrown) {
          if (!(thrown instanceof SysError) || thrown.errno !== ERRNO.ENOSPC || room >= most) throw thrown;
          room = Math.min(most, 2 * room);
          [keys, values] = [allocate(room * this.#keyBytes), allocate(room * this.#valueBytes)];
        }
      }
    };
    try {
      const first = read();
      let isFirst = true;
      return () => {
        if (!isFirst) return read();
        isFirst = false;
        return first;
      };
    } catch (thrown) {
      if (thrown instanceof SysError && NO_BATCH.includes(thrown.errno)) return null;
      throw thrown;
    }
  }

  #padded(bytes: Uint8Array, size: number): Memory {
    const memory = allocate(size);
    memory.set(bytes.subarray(0, size));
    return memory;
  }

  /** The key after `key`, or the first one; null behind the last. If `key` is gone, the kernel begins anew. */
  keyAfter(key: Uint8Array | null): Memory | null {
    const next = allocate(this.#keyBytes);
    return this.#call(key, next, 0, (attr) => bpfOrNull("MAP_GET_NEXT_KEY", attr)) === null ? null : next;
  }
}

/** The first value of the array map behind `fd`, whose values have so many bytes. Throws SysError. */
export const firstValueIn = (fd: number, valueBytes: number): Uint8Array | null =>
  new MapElements(fd, { keyBytes: INDEX_BYTES, valueBytes }).lookup(new Uint8Array(INDEX_BYTES));

/**
 * The id of a map that stands in the map of maps behind `fd`; null when there is none under the first `keysMax` keys. Throws
 * SysError.
 */
export function firstMapIn(fd: number, { keyBytes, keysMax }: { keyBytes: number; keysMax: number }): number | null {
  const elements = new MapElements(fd, { keyBytes, valueBytes: ID_BYTES });
  let key = elements.keyAfter(null);
  for (let tries = 0; tries < keysMax && key !== null; tries++) {
    const value = elements.lookup(key);
    const id = value === null ? 0 : new DataView(value.buffer).getUint32(0, true);
    if (id !== 0) return id;
    key = elements.keyAfter(key);
  }
  return null;
}
