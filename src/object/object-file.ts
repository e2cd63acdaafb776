import type { ChainedKind } from "../domain/kinds.ts";
import { LICENSE_BYTES_MAX, OBJECT_BYTES_MAX } from "../domain/limits.ts";
import type { ObjectFile, ObjectMap } from "../domain/object-file.ts";
import { BpfmanError } from "../errors/error.ts";
import { openBtf } from "./btf.ts";
import {
  EM_BPF,
  ET_REL,
  type Elf,
  type NamedSection,
  machineName,
  namedSections,
  openElf,
  sectionFields,
  typeName,
} from "./elf.ts";
import { readEntries } from "./entries.ts";
import { type Refuse, hasControlCharacters, memorySource } from "./fields.ts";
import { forLibbpf, type Original, withOptionalExterns } from "./for-libbpf.ts";
import { btfIn, layoutOf } from "./layout.ts";
import { type InitialValue, readMapUses, withInitialValues } from "./map-uses.ts";
import { MAPS_SECTION, readMaps, readMapTypes } from "./maps.ts";
import { checkForLibbpf } from "./sound.ts";
import { type Alongside, alongside } from "./tail-calls.ts";
import { bytesForTwin } from "./twin.ts";

export interface ReadObjectOptions {
  /** Reject objects in the other byte order, which this machine's kernel cannot load. */
  readonly nativeByteOrderOnly?: boolean;
}

/**
 * Parses an untrusted eBPF object file. Throws INVALID_OBJECT with the reason for every malformed file. Well-formed
 * objects may still be rejected by libbpf or the kernel.
 */
export function readObject(bytes: Uint8Array, options: ReadObjectOptions = {}): ObjectFile {
  if (bytes.length > OBJECT_BYTES_MAX) throw refuse(`it has ${bytes.length} bytes, more than ${OBJECT_BYTES_MAX}`);
  checkKind(openElf(memorySource(bytes), refuse), options);
  const elf = openElf(memorySource(bytesForLibbpf(bytes)), refuse);
  const sections = namedSections(elf);
  const byName = (name: string) => sections.find((section) => section.name === name && section.size > 0);
  const btf = byName(".BTF");
  const entries = readEntries(elf, sections);
  checkForLibbpf(elf, sections);
  return {
    byteOrder: byteOrderOf(elf.littleEndian),
    license: readLicense(elf, byName("license")),
    ...entries,
    maps: readDefinedMaps(elf, { maps: byName(MAPS_SECTION), btf }),
    hasBtf: btf !== undefined,
    hasBtfExt: byName(".BTF.ext") !== undefined,
  };
}

/** Returns an object's bytes adapted for libbpf (for-libbpf.ts). Throws INVALID_OBJECT. */
export const bytesForLibbpf = (bytes: Uint8Array): Uint8Array => forLibbpf(bytes, refuse);

function opened(bytes: Uint8Array): Original {
  const elf = openElf(memorySource(bytes), refuse);
  return { bytes, elf, sections: namedSections(elf) };
}

/** What libbpf gets to load some of an object's programs. */
export interface ObjectForLibbpf {
  readonly bytes: Uint8Array;
  /** Maps that need not be created: none of the programs uses them, and they are not pinned by name. */
  readonly unusedMaps: ReadonlySet<string>;
}

/**
 * Returns the bytes to load `programs` from. Maps that none of them uses are not created, since this kernel may lack their
 * type, or their size may be left to their own loader; their initial values are removed. If a program array is created only
 * because it is pinned, initial values that are programs which are not loaded are removed too. Kernel symbols that only
 * other programs use become optional. Throws INVALID_OBJECT.
 */
export function objectForLibbpf(bytes: Uint8Array, { maps }: ObjectFile, programs: readonly string[]): ObjectForLibbpf {
  const original = opened(bytesForLibbpf(bytes));
  const uses = readMapUses(original);
  const used = uses.of(programs);
  if (used === null) return { bytes: original.bytes, unusedMaps: new Set() };
  const made = new Set([...used.maps, ...maps.filter(({ pinByName }) => pinByName).map(({ name }) => name)]);
  // Their values may contain maps themselves; this loop also visits values that it adds.
  for (const name of made) {
    for (const { map, target, kind } of uses.initialValues) if (map === name && kind === "map") made.add(target);
  }
  const keep = ({ map, target, kind }: InitialValue) =>
    made.has(map) && (kind === "map" || used.maps.has(map) || programs.includes(target));
  return {
    bytes: withInitialValues(opened(withOptionalExterns(original, used.symbols)), keep),
    unusedMaps: new Set(maps.map(({ name }) => name).filter((name) => !made.has(name))),
  };
}

/** A difference between a type of an object's map and a type in the kernel's BTF. */
export interface LayoutDifference {
  readonly field: "key" | "value";
  readonly object: string;
  readonly kernel: string;
}

/** BTF, and the IDs of a map's key and value types in it; 0 if unknown. */
interface KernelTypes {
  readonly btf: Uint8Array;
  readonly key: number;
  readonly value: number;
}

/**
 * Compares the memory layout of the keys and values of map `name` with those of another map in the kernel, if both have
 * types. Returns the first difference of each. Throws INVALID_OBJECT.
 */
export function layoutDifferences(bytes: Uint8Array, name: string, kernel: KernelTypes): LayoutDifference[] {
  const elf = openElf(memorySource(bytesForLibbpf(bytes)), refuse);
  const section = namedSections(elf).find((each) => each.name === ".BTF" && each.size > 0);
  if (section === undefined) return [];
  const ours = openBtf(sectionFields(elf, section, "BTF"));
  const types = readMapTypes(ours).get(name);
  const theirs = btfIn(kernel.btf, refuse, elf.littleEndian);
  return (["key", "value"] as const).flatMap((field) => {
    const [mine, other] = [types?.[field] ?? 0, kernel[field]];
    const [object, there] = mine === 0 || other === 0 ? [null, null] : [layoutOf(ours, mine), layoutOf(theirs, other)];
    if (object === null || there === null) return [];
    const at = Array.from({ length: Math.max(object.length, there.length) }, (_, i) => i).find(
      (i) => object[i] !== there[i],
    );
    return at === undefined ? [] : [{ field, object: object[at] ?? "at its end", kernel: there[at] ?? "at its end" }];
  });
}

/** Returns what must be loaded along with these programs of a checked object ({@link alongside}). */
export const loadedAlong = (bytes: Uint8Array, chosen: readonly string[]): Alongside =>
  alongside(bytes, chosen, refuse);

/** Returns a checked object's bytes to load a program's twin from ({@link bytesForTwin}); null without BTF. */
export const twinBytes = (bytes: Uint8Array, program: string, hook: ChainedKind): Uint8Array | null =>
  bytesForTwin(bytesForLibbpf(bytes), { program, hook }, refuse);

const refuse: Refuse = (reason, hint) =>
  new BpfmanError("INVALID_OBJECT", `cannot read the object file: ${reason}`, hint === undefined ? {} : { hint });

const byteOrderOf = (littleEndian: boolean) => (littleEndian ? "little" : "big");

/** Reports whether this machine is little-endian. */
const machineIsLittleEndian = () => new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

function checkKind(elf: Elf, { nativeByteOrderOnly = false }: ReadObjectOptions): void {
  if (elf.machine !== EM_BPF)
    throw refuse(`it is an ELF file for ${machineName(elf)} (${typeName(elf)}), not for eBPF`);
  if (!elf.wide) throw refuse("it is a 32-bit ELF file, and eBPF objects are 64-bit");
  if (elf.type !== ET_REL) throw refuse(`it is for eBPF, but not a relocatable object: ${typeName(elf)}`);
  const needed = machineIsLittleEndian();
  if (nativeByteOrderOnly && elf.littleEndian !== needed) {
    throw refuse(
      `it is ${byteOrderOf(elf.littleEndian)}-endian, and this machine needs ${byteOrderOf(needed)}-endian`,
      `compile with clang -target ${needed ? "bpfel" : "bpfeb"}`,
    );
  }
}

function readLicense(elf: Elf, section: NamedSection | undefined): string | null {
  if (section === undefined) return null;
  const { bytes } = sectionFields(elf, section, "licence");
  const end = bytes.indexOf(0);
  const text = new TextDecoder().decode(bytes.subarray(0, Math.min(end < 0 ? bytes.length : end, LICENSE_BYTES_MAX)));
  if (hasControlCharacters(text)) throw refuse(`its licence has control characters: ${JSON.stringify(text)}`);
  return text;
}

type MapSections = Readonly<Record<"maps" | "btf", NamedSection | undefined>>;

function readDefinedMaps(elf: Elf, { maps, btf }: MapSections): ObjectMap[] {
  if (maps === undefined) return [];
  if (btf === undefined) throw refuse("it has maps, but no BTF to describe them", "compile with clang -g");
  return readMaps(openBtf(sectionFields(elf, btf, "BTF")));
}
