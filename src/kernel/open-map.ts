/** Opens maps to read and change their entries. */
import type { BpfObjectKind } from "../../ffi/safe/bpf.ts";
import { closeFd } from "../../ffi/safe/libc.ts";
import { type ElementBatch, MapElements } from "../../ffi/safe/map-elements.ts";
import { readTextSync } from "../../ffi/safe/file-system.ts";
import { mapInfo } from "../../ffi/safe/object-info.ts";
import type { MapId } from "../domain/ids.ts";
import { type MapKind, mapKind } from "../domain/map-kinds.ts";
import { MAP_BATCH_BYTES_MAX, MAP_BATCH_ENTRIES_MAX, MAP_VALUE_BYTES_MAX } from "../domain/limits.ts";
import { BpfmanError, type SysFailure } from "../errors/error.ts";
import type { KernelMapContent, MapBatch, MapReference, OpenMap, UpdateMode } from "../platform/kernel.ts";
import { attempt, type Meaning } from "./kernel-failure.ts";
import { processorsIn, readBtf, readMap } from "./read-info.ts";

const KERNEL_BTF = "/sys/kernel/btf/vmlinux";
const POSSIBLE = "/sys/devices/system/cpu/possible";
const PROCESSOR_VALUE_STEP = 8;
/** More entries than the map can have, by this factor, mean that it changes while it is read, and reading begins anew. */
const READ_AGAIN_MAX = 4;

/** Opens an object; null if there is none of that ID. The caller closes the descriptor. */
export type Opener = (kind: BpfObjectKind, id: number) => number | null;

/** Opens a map; null if there is none of that ID. */
export function openMap(id: MapId, open: Opener): OpenMap | null {
  const action = `open map ${id}`;
  const fd = attempt({ action, code: "KERNEL_CALL_FAILED" }, () => open("map", id));
  if (fd === null) return null;
  try {
    return attempt({ action, code: "KERNEL_CALL_FAILED" }, () => opened(fd, open));
  } catch (thrown) {
    closeFd(fd);
    throw thrown;
  }
}

function opened(fd: number, open: Opener): OpenMap {
  const map = readMap(fd);
  const { keySize: keyBytes, valueSize, maxEntries } = map;
  const { perProcessor, keysOnly, wanted } = mapKind(map);
  const processors = perProcessor ? processorsIn(readTextSync(POSSIBLE)) : null;
  const step = Math.ceil(valueSize / PROCESSOR_VALUE_STEP) * PROCESSOR_VALUE_STEP;
  const valueBytes = processors === null ? valueSize : step * processors.length;
  const elements = new MapElements(fd, { keyBytes, valueBytes });
  const trying = <T>(verb: string, run: () => T, explain = explainElement): T =>
    attempt({ action: `${verb} map ${map.id}`, code: "KERNEL_CALL_FAILED", explain }, run);
  /** Checked here, so that a map with larger values can still be listed. */
  const requireRoom = (verb: string): void => {
    if (valueBytes <= MAP_VALUE_BYTES_MAX) return;
    throw new BpfmanError(
      "NOT_SUPPORTED",
      `${verb} map ${map.id}: its values have ${valueBytes} bytes; at most ${MAP_VALUE_BYTES_MAX} are read or written`,
      { hint: `"bpfman map get ${map.id}" shows its state` },
    );
  };
  const tryingEntry = <T>(verb: string, run: () => T, explain = explainElement): T => {
    requireRoom(verb);
    return trying(verb, run, explain);
  };

  return {
    map,
    processors,
    valueBytes,
    types: () => trying("read the types of", () => typesOf(fd)),
    lookup: (key) => tryingEntry("read an entry of", () => elements.lookup(key)),
    contains: (value) => tryingEntry("read", () => elements.contains(value)),
    update: (key, value, { mode, reference }) =>
      tryingEntry(
        "change an entry of",
        () => update(elements, open, { key, value, mode, reference }),
        explainUpdate(wanted),
      ),
    delete: (key) => trying("delete an entry of", () => elements.delete(key)),
    take: () => tryingEntry("take a value out of", () => elements.take()),
    batches: (from, count) => batches(from, count),
    close: () => closeFd(fd),
  };

  function* batches(from: string | null, wanted: number): Iterable<MapBatch> {
    requireRoom("read");
    const entryBytes = Math.max(1, keyBytes + valueBytes);
    const count = Math.max(
      1,
      Math.min(wanted, MAP_BATCH_ENTRIES_MAX, maxEntries, Math.floor(MAP_BATCH_BYTES_MAX / entryBytes)),
    );
    const place = from === null ? null : placeOf(from);
    const read =
      keysOnly || place?.kind === "key"
        ? null
        : tryingEntry("read", () =>
            elements.batches(place?.bytes ?? null, { count, most: Math.max(count, maxEntries) }),
          );
    let left = READ_AGAIN_MAX * Math.max(maxEntries, count);
    const next = read === null ? oneByOne(place?.bytes ?? null, count) : () => inBatches(read);
    for (let batch = trying("read", next); ; batch = trying("read", next)) {
      yield batch;
      left -= Math.max(1, batch.count);
      if (batch.next === null) return;
      if (left < 0)
        throw new BpfmanError("KERNEL_CALL_FAILED", `read map ${map.id}: it changes faster than it can be read`);
    }
  }

  function inBatches(read: () => ElementBatch): MapBatch {
    const { next, ...batch } = read();
    return { ...batch, next: next && `b${next.toHex()}` };
  }

  /** Reads key after key, as kernels need it that have no batches for this kind of map. */
  function oneByOne(from: Uint8Array | null, count: number): () => MapBatch {
    let last = from;
    const keys = new Uint8Array(count * keyBytes);
    const values = keysOnly ? null : new Uint8Array(count * valueBytes);
    return () => {
      let found = 0;
      // Keys that vanish meanwhile count as read, or this could go on for ever.
      for (let tries = 0; tries < count; tries++) {
        const key = elements.keyAfter(last);
        if (key === null) return { keys, values, count: found, next: null };
        last = key;
        const value = values === null ? null : elements.lookup(key);
        if (value === null && values !== null) continue;
        keys.set(key, found * keyBytes);
        if (value !== null) values?.set(value.subarray(0, valueBytes), found * valueBytes);
        found++;
      }
      return { keys, values, count: found, next: last && `k${last.toHex()}` };
    };
  }

  function placeOf(text: string): { readonly kind: "batch" | "key"; readonly bytes: Uint8Array } {
    const bytes = /^[bk]([0-9a-f]{2})+$/.test(text) ? Uint8Array.fromHex(text.slice(1)) : null;
    const kind = text.startsWith("k") ? "key" : "batch";
    if (bytes === null || bytes.length !== (kind === "key" ? keyBytes : Math.max(PROCESSOR_VALUE_STEP, keyBytes))) {
      throw new BpfmanError(
        "INVALID_REQUEST",
        'invalid value for "cursor": it is not the "next" of an answer for this map',
        {
          details: { field: "cursor" },
        },
      );
    }
    return { kind, bytes };
  }
}

function typesOf(fd: number): KernelMapContent["types"] {
  const { btfId, keyTypeId, valueTypeId, kernelValueTypeId } = mapInfo(fd);
  if (kernelValueTypeId !== 0) {
    const { readFileSync } = require("node:fs") as typeof import("node:fs");
    return { btf: readFileSync(KERNEL_BTF), key: 0, value: kernelValueTypeId };
  }
  if (valueTypeId === 0) return null;
  const btf = readBtf(btfId);
  return btf && { btf, key: keyTypeId, value: valueTypeId };
}

interface Update {
  readonly key: Uint8Array | null;
  readonly value: Uint8Array;
  readonly mode: UpdateMode;
  readonly reference: MapReference | undefined;
}

/** The kernel takes descriptors of maps and programs, and answers their IDs. */
function update(elements: MapElements, open: Opener, { key, value, mode, reference }: Update): void {
  if (reference === undefined) {
    elements.update(key, value, mode);
    return;
  }
  const { kind, id, at } = reference;
  const fd = open(kind, id);
  if (fd === null) {
    throw new BpfmanError(kind === "map" ? "MAP_NOT_FOUND" : "PROGRAM_NOT_FOUND", `the kernel has no ${kind} ${id}`, {
      details: { [`${kind}_id`]: id },
    });
  }
  try {
    const own = value.slice();
    new DataView(own.buffer).setUint32(at, fd, true);
    elements.update(key, own, mode);
  } finally {
    closeFd(fd);
  }
}

/**
 * A cpumap answers ENOMEM to a program that it does not take (Linux 6.18), EOVERFLOW to too long a queue, and ENODEV to a
 * processor that is not there.
 */
const explainUpdate =
  (wanted: MapKind["wanted"]) =>
  (sys: SysFailure): Meaning | null => {
    if (wanted === null) return explainElement(sys);
    switch (sys.name) {
      case "EINVAL":
      case "ENOMEM":
      case "EOVERFLOW":
        return { code: "INVALID_VALUE", reason: `it takes ${wanted.takes}`, hint: wanted.seen };
      case "ENODEV":
        return { code: "INVALID_VALUE", reason: "its key is no processor of this machine", hint: '"lscpu" shows them' };
      default:
        return explainElement(sys);
    }
  };

function explainElement(sys: SysFailure): Meaning | null {
  switch (sys.name) {
    case "EEXIST":
      return { code: "ENTRY_EXISTS", reason: "there is an entry with that key already" };
    case "ENOENT":
      return { code: "ENTRY_NOT_FOUND", reason: "there is no entry with that key" };
    case "E2BIG":
      return { code: "MAP_FULL", reason: "it has as many entries as it can have, or the key is behind its end" };
    case "ENOSPC":
      return { code: "MAP_FULL", reason: "it has as many entries as it can have" };
    case "EPERM":
      return {
        code: "MAP_FROZEN",
        reason:
          "the kernel does not allow that: the map was made for programs alone (BPF_F_RDONLY, BPF_F_WRONLY) or frozen",
      };
    case "EBUSY":
      return { code: "KERNEL_CALL_FAILED", hint: "programs are changing the same entry; try again" };
    case "EINVAL":
    case "EOPNOTSUPP":
    case "errno 524":
      return { code: "NOT_SUPPORTED", reason: "the kernel does not do that with maps of this type" };
    default:
      return null;
  }
}
