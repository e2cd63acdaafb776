/**
 * Reads what programs pass to user space: from ring buffers (kernel/bpf/ringbuf.c) and perf buffers (perf_event_open(2)). Both
 * are memory shared with the kernel, where it moves one end and the reader the other.
 */
import { closeFd } from "../../ffi/safe/libc.ts";
import { MapElements } from "../../ffi/safe/map-elements.ts";
import { readTextSync } from "../../ffi/safe/file-system.ts";
import { openBpfOutput } from "../../ffi/safe/perf.ts";
import { readSome, waitFor } from "../../ffi/safe/ready.ts";
import { mapPages, pageBytes, type SharedPages } from "../../ffi/safe/shared-pages.ts";
import { EVENT_BATCH_BYTES_MAX, PERF_BUFFER_PAGES } from "../domain/limits.ts";
import type { MapId } from "../domain/ids.ts";
import { isRingBuffer } from "../domain/map-kinds.ts";
import { BpfmanError } from "../errors/error.ts";
import { errnoName } from "../errors/sys-failure.ts";
import type { EventTaker, OpenEvents } from "../platform/kernel.ts";
import { attempt } from "./kernel-failure.ts";
import type { Opener } from "./open-map.ts";
import { processorsIn, readMap } from "./read-info.ts";

const ONLINE = "/sys/devices/system/cpu/online";

/** BPF_F_PRESERVE_ELEMS, BPF_F_RB_OVERWRITE (include/uapi/linux/bpf.h). */
const PRESERVE_ELEMENTS = 1 << 11;
const OVERWRITES = 1 << 19;

/** Opens a ring buffer or perf buffer to read from it; null if there is no such map. */
export function openEvents(id: MapId, open: Opener): OpenEvents | null {
  const trying = { action: `read the events of map ${id}`, code: "KERNEL_CALL_FAILED" } as const;
  const fd = attempt(trying, () => open("map", id));
  if (fd === null) return null;
  try {
    return attempt(trying, () => {
      const map = readMap(fd);
      const isRing = isRingBuffer(map);
      if (isRing ? map.flags & OVERWRITES : map.flags & PRESERVE_ELEMENTS) {
        const why = isRing
          ? "overwrites its oldest events (BPF_F_RB_OVERWRITE)"
          : "keeps its readers (BPF_F_PRESERVE_ELEMS)";
        throw new BpfmanError("NOT_SUPPORTED", `map ${id} (${map.name}) ${why}: its events cannot be read`);
      }
      return isRing ? openRing(fd, map.maxEntries) : openPerf(fd, map.maxEntries);
    });
  } catch (thrown) {
    closeFd(fd);
    throw thrown;
  }
}

/** BPF_RINGBUF_BUSY_BIT, BPF_RINGBUF_DISCARD_BIT, BPF_RINGBUF_HDR_SZ; records are padded to 8 bytes. */
const BUSY = 2 ** 31;
const DISCARDED = 2 ** 30;
const RECORD_HEADER_BYTES = 8;
const padded = (bytes: number): number => Math.ceil(bytes / 8) * 8;

/** Positions count bytes from the beginning of all time. */
const positionAt = (memory: ArrayBuffer, offset: number) => {
  const cell = new BigUint64Array(memory, offset, 1);
  return {
    get: () => Number(Atomics.load(cell, 0)),
    set: (position: number) => void Atomics.store(cell, 0, BigInt(position)),
  };
};

/**
 * The first page has the reader's position, the second the programs'; then follow the records, twice in a row, so that none is
 * broken at the end.
 */
function openRing(fd: number, size: number): OpenEvents {
  const page = pageBytes();
  const own = mapPages(fd, { offset: 0, bytes: page, writable: true });
  let theirs: SharedPages;
  try {
    theirs = mapPages(fd, { offset: page, bytes: page + 2 * size, writable: false });
  } catch (thrown) {
    own.unmap();
    throw thrown;
  }
  const consumed = positionAt(own.memory, 0);
  const view = new DataView(theirs.memory);
  // Compiled, Atomics.load writes, too, and these pages are read-only: so plain loads, and a barrier behind each.
  const barrier = new Int32Array(1);
  const loaded = <T>(value: T): T => {
    Atomics.add(barrier, 0, 0);
    return value;
  };
  let largest = 0;
  let wasFull = false;
  let position = consumed.get();

  return {
    read(most, take) {
      const start = position;
      const end = loaded(Number(view.getBigUint64(0, true)));
      let events = 0;
      try {
        while (position < end && events < most && position - start < EVENT_BATCH_BYTES_MAX) {
          const at = page + (position % size);
          const header = loaded(view.getUint32(at, true));
          if (header >= BUSY) break;
          const length = header % DISCARDED;
          const bytes = padded(length + RECORD_HEADER_BYTES);
          position += bytes;
          largest = Math.max(largest, bytes);
          if (header >= DISCARDED) continue;
          events++;
          take.event(view, at + RECORD_HEADER_BYTES, length, null);
        }
      } finally {
        if (position !== start) consumed.set(position);
      }
      // Only reading makes room: what found none since the last look finds none in this.
      const isFull = largest > 0 && end - start + largest > size - 1;
      if (isFull && !wasFull) take.lost(null, null);
      wasFull = isFull;
    },
    wait: (ms) => void waitFor([fd], ms),
    tellLost: () => {},
    close() {
      own.unmap();
      theirs.unmap();
      closeFd(fd);
    },
  };
}

/** PERF_RECORD_* (enum perf_event_type); each begins with a u32 type, a u16, and a u16 size. */
const LOST = 2;
const SAMPLE = 9;
/** data_head, data_tail (struct perf_event_mmap_page). */
const HEAD_AT = 1024;
const TAIL_AT = 1032;

interface Processor {
  readonly cpu: number;
  readonly fd: number;
  /** Reads up to `most` events; returns how many. */
  read(most: number, take: EventTaker): number;
  tellLost(take: EventTaker): void;
  close(): void;
}

function openProcessor(cpu: number, page: number): Processor {
  const { fd, counts } = openOutput(cpu);
  const size = PERF_BUFFER_PAGES * page;
  let pages: SharedPages;
  try {
    pages = mapPages(fd, { offset: 0, bytes: page + size, writable: true });
  } catch (thrown) {
    closeFd(fd);
    throw thrown;
  }
  const head = positionAt(pages.memory, HEAD_AT);
  const tail = positionAt(pages.memory, TAIL_AT);
  const data = new Uint8Array(pages.memory, page, size);
  const whole = new DataView(pages.memory, page, size);
  // Sizes of records are 16-bit numbers.
  const broken = new Uint8Array(new ArrayBuffer(2 ** 16));
  let told = 0;
  let position = tail.get();
  const tellLost = (take: EventTaker): void => {
    if (!counts) return;
    const numbers = readSome(fd, 16);
    if (numbers === null) return;
    const untold = Number(new DataView(numbers.buffer, numbers.byteOffset).getBigUint64(8, true)) - told;
    if (untold <= 0) return;
    told += untold;
    take.lost(untold, cpu);
  };
  return {
    cpu,
    fd,
    tellLost,
    read(most, take) {
      const start = position;
      const end = head.get();
      let events = 0;
      try {
        while (position < end && events < most && position - start < EVENT_BATCH_BYTES_MAX) {
          // Records are padded to 8 bytes, as long as the header is.
          const at = position % size;
          const bytes = whole.getUint16(at + 6, true);
          position += bytes;
          let [view, from] = [whole, at];
          if (at + bytes > size) {
            broken.set(data.subarray(at));
            broken.set(data.subarray(0, at + bytes - size), size - at);
            [view, from] = [new DataView(broken.buffer), 0];
          }
          const type = view.getUint32(from, true);
          if (type === LOST) {
            if (counts) tellLost(take);
            else take.lost(Number(view.getBigUint64(from + 16, true)), cpu);
          } else if (type === SAMPLE) {
            events++;
            take.event(view, from + 12, view.getUint32(from + 8, true), cpu);
          }
        }
      } finally {
        if (position !== start) tail.set(position);
      }
      return events;
    },
    close() {
      pages.unmap();
      closeFd(fd);
    },
  };
}

/** Linux before 6.0 does not count what is lost. */
function openOutput(cpu: number): { readonly fd: number; readonly counts: boolean } {
  try {
    return { fd: openBpfOutput(cpu, true), counts: true };
  } catch (thrown) {
    if (errnoName(thrown) !== "EINVAL") throw thrown;
    return { fd: openBpfOutput(cpu, false), counts: false };
  }
}

/** Each processor has a buffer. They are in the map until its descriptor is closed, also if this process is killed. */
function openPerf(fd: number, processors: number): OpenEvents {
  const elements = new MapElements(fd, { keyBytes: 4, valueBytes: 4 });
  const page = pageBytes();
  const open: Processor[] = [];
  const close = (): void => {
    closeFd(fd);
    for (const each of open) each.close();
  };
  const bytesOf = (number: number): Uint8Array => new Uint8Array(new Int32Array([number]).buffer);
  try {
    for (const cpu of processorsIn(readTextSync(ONLINE))) {
      if (cpu >= processors) continue;
      const each = openProcessor(cpu, page);
      open.push(each);
      elements.update(bytesOf(cpu), bytesOf(each.fd), "any");
    }
  } catch (thrown) {
    for (const each of open) each.close();
    throw thrown;
  }
  let first = 0;
  return {
    read(most, take) {
      let left = most;
      // A busy processor must not keep the others waiting.
      first = (first + 1) % open.length;
      for (let i = 0; i < open.length && left > 0; i++) left -= open[(first + i) % open.length]?.read(left, take) ?? 0;
    },
    wait: (ms) =>
      void waitFor(
        open.map((each) => each.fd),
        ms,
      ),
    tellLost(take) {
      for (const each of open) each.tellLost(take);
    },
    close,
  };
}
