/** Keys and values of a map by their types: from BTF, from what the kernel defines for a type of map, else bytes in hex. */
import { mapId, type ProgramId } from "../../domain/ids.ts";
import { mapKind } from "../../domain/map-kinds.ts";
import { mapTypeJson } from "../../domain/map-type-words.ts";
import { BpfmanError } from "../../errors/error.ts";
import {
  bytesType,
  integerType,
  recordType,
  shown,
  type ValueType,
  valueTypes,
  wrongValue,
} from "../../object/btf-value.ts";
import { btfOf } from "../../object/btf.ts";
import { ipv4Bytes, ipv4Text, ipv6Bytes, ipv6Text } from "../../object/ip-address.ts";
import { JsonText } from "../../object/json-text.ts";
import type { Host } from "../../platform/host.ts";
import type { KernelMap, OpenMap, MapReference } from "../../platform/kernel.ts";
import { findMap, isMapId, type KnownMap, mapWithId } from "./find-map.ts";

/** How keys and values are shown. */
export interface Shown {
  /** As bytes in hex, whatever the types. */
  readonly raw: boolean;
  /** The sum over all processors instead of a value for each. */
  readonly sum: boolean;
}

/** A map with its types. */
export interface TypedMap {
  readonly known: KnownMap;
  readonly open: OpenMap;
  readonly key: ValueType;
  /** Of one processor, if each has its own. */
  readonly value: ValueType;
  /** The types are those of the program, rather than bytes in hex. */
  readonly typed: { readonly key: boolean; readonly value: boolean };
}

/** Opens the map that is named, calls `work` with it, and closes it. Throws as `findMap` does, and MAP_NOT_FOUND if it vanishes. */
export async function withMap<T>(
  host: Host,
  named: string | number,
  raw: boolean,
  work: (map: TypedMap) => T | Promise<T>,
): Promise<T> {
  const known = isMapId(named) ? mapWithId(host, mapId(Number(named))) : findMap(host, named);
  const open = (await host.kernel.mapOpener())(known.id);
  if (open === null) {
    throw new BpfmanError("MAP_NOT_FOUND", `map ${known.id} (${known.name}) does not exist any more`, {
      details: { map_id: known.id },
    });
  }
  try {
    return await work({ known, open, ...typesOf(host, known, open, raw) });
  } finally {
    open.close();
  }
}

/** Most maps have types in the kernel: this reads object files, and is loaded for the others. */
const declared = () => require("./declared-types.ts") as typeof import("./declared-types.ts");

const refuse = (reason: string): BpfmanError => new BpfmanError("INVALID_OBJECT", reason);

/** Compiles the type if it has the size that the map needs. */
function compiled(compile: (id: number) => ValueType | null, id: number, bytes: number): ValueType | null {
  try {
    const type = compile(id);
    return type?.bytes === bytes ? type : null;
  } catch (thrown) {
    // BTF that contradicts itself: the bytes can still be shown.
    if (thrown instanceof BpfmanError) return null;
    throw thrown;
  }
}

/** How keys and values of an open map are read and written. */
export function typesOf(
  host: Host,
  known: KnownMap,
  open: OpenMap,
  raw: boolean,
): Pick<TypedMap, "key" | "value" | "typed"> {
  const { map } = open;
  const { indexed, prefixes } = mapKind(map);
  const plain = { key: bytesType("bytes", map.keySize), value: bytesType("bytes", map.valueSize) };
  if (raw) return { ...plain, typed: { key: false, value: false } };
  const own = open.types();
  const found = own === null ? declared().declaredTypes(host, known) : { ...own, btf: btfOf(own.btf, refuse) };
  const compile = found && valueTypes(found.btf);
  const key = compile && compiled(compile, found.key, map.keySize);
  const value = compile && compiled(compile, found.value, map.valueSize);
  const ownKey = indexed && map.keySize === 4 ? indexType(map, key) : key;
  const ownValue = kernelValue(map) ?? value;
  return {
    key: prefixes ? prefixType(ownKey ?? plain.key) : (ownKey ?? plain.key),
    value: ownValue ?? plain.value,
    typed: { key: ownKey !== null, value: ownValue !== null },
  };
}

/** An index, which must be one of the map's; an enum keeps its names. */
function indexType({ maxEntries }: KernelMap, type: ValueType | null): ValueType {
  const index = type ?? integerType("__u32", 4, false);
  return {
    ...index,
    read: (value, into, at, path) => {
      index.read(value, into, at, path);
      const found = into.getUint32(at, true);
      if (maxEntries > 0 && found >= maxEntries) {
        throw wrongValue(
          path,
          `must be from 0 to ${maxEntries - 1}, not ${found}`,
          `the map has ${maxEntries} entries`,
        );
      }
    },
  };
}

/** Values that the kernel defines: struct bpf_devmap_val, struct bpf_cpumap_val, IDs, cookies, addresses. */
function kernelValue({ type, valueSize }: KernelMap): ValueType | null {
  const number = (name: string, bytes = 4) => integerType(name, bytes, false);
  const { reference, keysOnly } = mapKind({ type, valueSize });
  if (reference?.required === true) return number(`${reference.kind} id`);
  if (reference !== null) {
    const first = type === 16 ? "qsize" : "ifindex";
    const record = recordType(type === 16 ? "struct bpf_cpumap_val" : "struct bpf_devmap_val", 8, [
      { name: first, at: 0, type: number("__u32") },
      { name: "prog_id", at: reference.at, type: number("__u32") },
    ]);
    // What is no object is the interface, or the size of the queue.
    const read: ValueType["read"] = (value, into, at, path) =>
      record.read(typeof value === "object" ? value : { [first]: value }, into, at, path);
    return { ...record, read };
  }
  switch (type) {
    case 14:
    case 25:
    case 16:
      return valueSize === 4 ? number("__u32") : null;
    case 15:
    case 18:
    case 20:
      return keysOnly ? null : number("socket cookie", 8);
    case 7:
      return valueSize % 8 === 0 ? stackType(valueSize) : null;
    default:
      return null;
  }
}

/** Addresses of instructions, up to the last one. */
const stackType = (bytes: number): ValueType => ({
  name: `__u64[${bytes / 8}]`,
  bytes,
  write: (from, at, out) => {
    const addresses: string[] = [];
    for (let i = 0; i < bytes; i += 8) addresses.push(`0x${from.getBigUint64(at + i, true).toString(16)}`);
    while (addresses.at(-1) === "0x0") addresses.pop();
    out.json(JSON.stringify(addresses));
  },
  read: (value, into, at, path) => bytesType("bytes", bytes).read(value, into, at, path),
  add: () => {},
});

const PREFIX_BYTES = 4;

/** struct bpf_lpm_trie_key: prefixes of addresses are text, as in `10.0.0.0/8`; others are as their type says. */
function prefixType(type: ValueType): ValueType {
  const bytes = type.bytes - PREFIX_BYTES;
  if (bytes !== 4 && bytes !== 16) return type;
  const [text, parse] = bytes === 4 ? [ipv4Text, ipv4Bytes] : [ipv6Text, ipv6Bytes];
  const addressAt = (view: DataView, at: number) =>
    new Uint8Array(view.buffer, view.byteOffset + at + PREFIX_BYTES, bytes);
  return {
    ...type,
    write: (from, at, out) => out.json(`"${text(addressAt(from, at))}/${from.getUint32(at, true)}"`),
    read: (value, into, at, path) => {
      if (typeof value !== "string" || (!value.includes("/") && parse(value) === null)) {
        type.read(value, into, at, path);
      } else {
        const [address = "", length = String(bytes * 8)] = value.split(/\/(?=[^/]*$)/);
        const found = parse(address);
        if (found === null)
          throw wrongValue(
            path,
            `must be an ${bytes === 4 ? "IPv4" : "IPv6"} prefix, not ${shown(value)}`,
            bytes === 4 ? "write it as in 10.0.0.0/8" : "write it as in 2001:db8::/32",
          );
        if (!/^\d{1,3}$/.test(length) || Number(length) > bytes * 8)
          throw wrongValue(
            path,
            `a prefix has from 0 to ${bytes * 8} bits, not ${shown(/^\d+$/.test(length) ? BigInt(length) : length)}`,
          );
        into.setUint32(at, Number(length), true);
        addressAt(into, at).set(found);
      }
      const length = into.getUint32(at, true);
      if (length > bytes * 8) throw wrongValue(path, `a prefix has from 0 to ${bytes * 8} bits, not ${length}`);
    },
  };
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

const text = (json: string): Uint8Array => new TextEncoder().encode(json);
const [KEY, VALUE, VALUES, ONLY_VALUE, CPU, END, ENDS] = [
  '{"key":',
  ',"value":',
  ',"values":[',
  '{"value":',
  '{"cpu":',
  "}",
  "]}",
].map(text) as [Uint8Array, Uint8Array, Uint8Array, Uint8Array, Uint8Array, Uint8Array, Uint8Array];
const NULL = text("null");

/** Writes entry `index` of some keys and values as JSON. */
export type WriteEntry = (index: number, out: JsonText) => void;

/**
 * Returns what writes entries as `{"key":…,"value":…}`; with `values` if each processor has its own: `[{"cpu":0,"value":…}]`. Entries
 * of queues have no key. Throws INVALID_REQUEST if they cannot be summed.
 */
export function entryWriter(
  { open, key, value, typed }: TypedMap,
  { sum }: Shown,
): (keys: Uint8Array, values: Uint8Array | null) => WriteEntry {
  const { processors, valueBytes } = open;
  if (sum && (processors === null || !typed.value)) {
    const why = processors === null ? "there is one value for all processors" : "the types of its values are not known";
    throw new BpfmanError("INVALID_REQUEST", `invalid value for "sum": ${why}`, { details: { field: "sum" } });
  }
  const step = processors === null ? valueBytes : valueBytes / processors.length;
  return (keys, values) => {
    const [keyView, view] = [viewOf(keys), values && viewOf(values)];
    const start: WriteEntry = (index, out) => {
      out.raw(KEY);
      key.write(keyView, index * key.bytes, out);
    };
    if (view === null) {
      return (index, out) => {
        start(index, out);
        out.raw(VALUE);
        out.raw(NULL);
        out.raw(END);
      };
    }
    const isQueue = key.bytes === 0;
    if (processors === null) {
      return (index, out) => {
        if (isQueue) out.raw(ONLY_VALUE);
        else {
          start(index, out);
          out.raw(VALUE);
        }
        value.write(view, index * valueBytes, out);
        out.raw(END);
      };
    }
    const part = (index: number, processor: number) =>
      new DataView(view.buffer, view.byteOffset + index * valueBytes + processor * step, value.bytes);
    if (sum) {
      return (index, out) => {
        start(index, out);
        out.raw(VALUE);
        const total = new DataView(new Uint8Array(viewBytes(part(index, 0))).buffer);
        for (let i = 1; i < processors.length; i++) value.add(part(index, i), total, 0);
        value.write(total, 0, out);
        out.raw(END);
      };
    }
    return (index, out) => {
      start(index, out);
      out.raw(VALUES);
      for (const [i, processor] of processors.entries()) {
        if (i > 0) out.byte(0x2c);
        out.raw(CPU);
        out.integer(processor);
        out.raw(VALUE);
        value.write(view, index * valueBytes + i * step, out);
        out.raw(END);
      }
      out.raw(ENDS);
    };
  };
}

const viewBytes = (view: DataView): Uint8Array => new Uint8Array(view.buffer, view.byteOffset, view.byteLength).slice();

/** The bytes of a key that a user wrote. Throws INVALID_VALUE. */
export function keyBytes({ key, open }: TypedMap, written: unknown): Uint8Array | null {
  const hasNone = mapKind(open.map).shape !== "entries";
  if (hasNone) {
    if (written === undefined) return null;
    throw wrongValue("key", `a ${mapTypeJson(open.map.type)} has no keys`, "leave the key out");
  }
  if (written === undefined) {
    const { id, maxEntries, type } = open.map;
    const which = mapKind(open.map).indexed ? `give an index from 0 to ${maxEntries - 1}; ` : "";
    const what = `it is missing: each entry of a map of type ${mapTypeJson(type)} has one`;
    throw wrongValue("key", what, `${which}"bpfman map dump ${id}" shows all entries`);
  }
  const bytes = new Uint8Array(key.bytes);
  key.read(written, viewOf(bytes), 0, "key");
  return bytes;
}

/** The error for an entry that is not there; `bytes` are its key, if it has one. */
export function entryMissing({ known: { id, name }, key }: TypedMap, bytes: Uint8Array | null): BpfmanError {
  const out = new JsonText();
  if (bytes !== null) key.write(viewOf(bytes), 0, out);
  const what = bytes === null ? "is empty" : `has no entry with key ${out}`;
  return new BpfmanError("ENTRY_NOT_FOUND", `map ${id} (${name}) ${what}`, {
    details: { map_id: id },
    hint: bytes === null ? null : `"bpfman map dump ${id}" shows all entries`,
  });
}

/**
 * The bytes of a value that a user wrote: for all processors, if each has its own. Then it is one value for all of them, or a list as
 * it is shown, with one for each. Throws INVALID_VALUE.
 */
export function valueBytes({ value, open }: TypedMap, written: unknown): Uint8Array {
  if (written === undefined) throw wrongValue("value", "it is missing");
  const bytes = new Uint8Array(open.valueBytes);
  const { processors } = open;
  if (processors === null) {
    value.read(written, viewOf(bytes), 0, "value");
    return bytes;
  }
  const step = open.valueBytes / processors.length;
  const listed = ofProcessors(written);
  if (listed === null) {
    for (let i = 0; i < processors.length; i++) value.read(written, viewOf(bytes), i * step, "value");
    return bytes;
  }
  const given = listed.map(({ cpu }) => cpu);
  const wrong = given.find((cpu, at) => !processors.includes(cpu as number) || given.indexOf(cpu) !== at);
  if (wrong !== undefined || given.length !== processors.length) {
    throw wrongValue(
      "value",
      `must have one value for each processor, once: ${processors.join(", ")}`,
      "or give one value, for all of them",
    );
  }
  for (const { cpu, value: own } of listed) {
    value.read(own, viewOf(bytes), processors.indexOf(cpu as number) * step, `value of processor ${cpu}`);
  }
  return bytes;
}

/** Maps of devices and of processors (include/uapi/linux/bpf.h). */
const OPTIONAL_PROGRAM: readonly number[] = [14, 16, 25];

/** The bytes of a value that refers to this program, beside what else is written. Throws INVALID_VALUE. */
export function valueWithProgram(map: TypedMap, written: unknown, program: ProgramId): Uint8Array {
  const { known, open } = map;
  const { reference } = mapKind(open.map);
  if (reference?.kind !== "program") {
    const { type } = open.map;
    const what = `entries of map ${known.id} (${known.name}) of type ${mapTypeJson(type)} run no program`;
    throw wrongValue(
      "program",
      what,
      OPTIONAL_PROGRAM.includes(type)
        ? "declare the value as struct bpf_devmap_val or struct bpf_cpumap_val"
        : "those of arrays of programs, devmaps and cpumaps do",
    );
  }
  if (reference.required && written !== undefined)
    throw wrongValue("value", "the program is the whole value", 'leave the word before "prog" out');
  const bytes = reference.required ? new Uint8Array(open.valueBytes) : valueBytes(map, written);
  const view = viewOf(bytes);
  const other = view.getUint32(reference.at, true);
  if (other !== 0 && other !== program) throw wrongValue("value", `it names program ${other}, and "prog" ${program}`);
  view.setUint32(reference.at, program, true);
  return bytes;
}

/** A list of `{"cpu":0,"value":…}`; null for anything else. */
function ofProcessors(written: unknown): readonly { readonly cpu: unknown; readonly value: unknown }[] | null {
  if (!Array.isArray(written) || written.length === 0) return null;
  const isOne = (each: unknown): boolean =>
    typeof each === "object" && each !== null && Object.keys(each).sort().join() === "cpu,value";
  return written.every(isOne) ? (written as { cpu: unknown; value: unknown }[]) : null;
}

/** The map or program that a value refers to; it holds the ID until the descriptor takes its place. */
export function referenceOf({ open }: TypedMap, value: Uint8Array): MapReference | undefined {
  const { reference } = mapKind(open.map);
  const id = reference === null ? 0 : viewOf(value).getUint32(reference.at, true);
  if (reference === null || (id === 0 && !reference.required)) return undefined;
  if (id === 0) throw wrongValue("value", `0 is no ${reference.kind} id`);
  return { kind: reference.kind, id, at: reference.at };
}

/** Throws NOT_SUPPORTED if entries of that type of map cannot be read, or changed. */
export function requireKind({ known, open }: TypedMap, what: "unreadable" | "unwritable", verb: string): void {
  const why = mapKind(open.map)[what];
  if (why === null) return;
  const details = { map_id: known.id };
  throw new BpfmanError(
    "NOT_SUPPORTED",
    `cannot ${verb} map ${known.id} (${known.name}) of type ${mapTypeJson(open.map.type)}: ${why}`,
    {
      details,
      hint: `"bpfman map get ${known.id}" shows its state`,
    },
  );
}
