import type { ChainedKind } from "../domain/kinds.ts";
import { LICENSE_BYTES_MAX, OBJECT_BYTES_MAX } from "../domain/limits.ts";
import type { ObjectFile, ObjectMap } from "../domain/object-file.ts";
import { BpfmanError } from "../errors/error.ts";
import { openBtf } from "./btf.ts";
import { EM_BPF, ET_REL, type Elf, machineName, typeName } from "./elf.ts";
import { readEntries } from "./entries.ts";
import { Fields, hasControlCharacters, type Refuse } from "./fields.ts";
import { forLibbpf, requiredExterns, withOptionalExterns } from "./for-libbpf.ts";
import { layoutOf } from "./layout.ts";
import { type MapUses, type Used, readMapUses, withoutInitialValues } from "./map-uses.ts";
import { MAPS_SECTION, readMaps, readMapTypes } from "./maps.ts";
import { OpenObject } from "./open-object.ts";
import { checkForLibbpf, isExtern } from "./sound.ts";
import type { WithStructs } from "./struct-ops.ts";
import { reachedByTailCalls } from "./tail-calls.ts";
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
  const object = openForLibbpf(bytes, (elf) => checkKind(elf, options));
  const entries = readEntries(object);
  checkForLibbpf(object);
  return {
    byteOrder: byteOrderOf(object.elf.littleEndian),
    license: readLicense(object),
    ...entries,
    maps: readDefinedMaps(object),
    hasBtf: object.section(".BTF") !== undefined,
    hasBtfExt: object.section(".BTF.ext") !== undefined,
  };
}

/** The object made of these bytes: a load reads it once to check it, and again for what it passes to libbpf. */
const opened = new WeakMap<Uint8Array, OpenObject>();

/** Opens an object as libbpf is to see it (for-libbpf.ts), unless `check` throws. Throws INVALID_OBJECT. */
export function openForLibbpf(bytes: Uint8Array, check: (elf: Elf) => void = () => {}): OpenObject {
  const known = opened.get(bytes);
  const original = known ?? new OpenObject(bytes, refuse);
  check(original.elf);
  const object = known ?? forLibbpf(original);
  opened.set(bytes, object);
  return object;
}

/** What libbpf is given to load some of an object's programs. */
export interface ObjectForLibbpf {
  readonly bytes: Uint8Array;
  /** Maps that need not be made: none of the programs uses them, and they are not pinned by name. */
  readonly unusedMaps: ReadonlySet<string>;
  /** Structs that the programs are members of, each of which becomes a map. */
  readonly structs: WithStructs["structs"];
  /** By requested program: the other programs that must be loaded, because it reaches them by tail calls. */
  readonly along: ReadonlyMap<string, readonly string[]>;
}

/**
 * The bytes to load `programs` from. Maps that nobody would use are not made, since this kernel may not have their kind, or
 * their own loader sets their size: their initial values are taken out, and so are those of arrays of programs that are
 * made for their pin alone where the program is not loaded. Names of the kernel that only others use may be missing. Throws
 * INVALID_OBJECT.
 */
export function objectForLibbpf(bytes: Uint8Array, file: ObjectFile, programs: readonly string[]): ObjectForLibbpf {
  const object = openForLibbpf(bytes);
  if (isPlain(object, file))
    return { ...PLAIN, bytes: object.bytes, along: new Map(programs.map((name) => [name, []])) };
  const uses = readMapUses(object);
  const along = reachedByTailCalls(uses, programs, refuse);
  const loaded = new Set([...programs, ...[...along.values()].flat()]);
  return { ...reducedTo(partsOf(object, uses, file), loaded, ({ pinByName }) => pinByName), along };
}

const PLAIN = { unusedMaps: new Set<string>(), structs: new Map<string, never>() };

/** Reports whether programs of an object use nothing but their own code and variables: there is nothing to take out. */
const isPlain = (object: OpenObject, { maps, programs }: ObjectFile): boolean =>
  maps.length === 0 && !hasStructs(object, programs) && !object.symbols.named.some(isExtern);

const hasStructs = (object: OpenObject, programs: ObjectFile["programs"]): boolean =>
  object.sections.some(({ name }) => name.includes(".struct_ops")) ||
  programs.some(({ kind }) => kind === "struct_ops");

/** Few objects have structs of kernel hooks, and their programs: this is loaded for them. */
function withStructsOf(object: OpenObject, programs: ObjectFile["programs"]): WithStructs {
  if (!hasStructs(object, programs)) return { object, structs: PLAIN.structs };
  return (require("./struct-ops.ts") as typeof import("./struct-ops.ts")).withStructsOf(object, programs);
}

type BytesForLibbpf = Pick<ObjectForLibbpf, "bytes" | "unusedMaps" | "structs">;

/**
 * Returns a function that makes the bytes to verify one program from, which is loaded for nobody: without maps that it does
 * not use, and without other programs. The object is read once for all of them. Throws INVALID_OBJECT.
 */
export function objectForVerifier(bytes: Uint8Array, file: ObjectFile): (program: string) => BytesForLibbpf {
  const object = openForLibbpf(bytes);
  if (isPlain(object, file)) return () => ({ ...PLAIN, bytes: object.bytes });
  const parts = partsOf(object, readMapUses(object), file);
  return (program) => reducedTo(parts, new Set([program]), () => false);
}

/** An object, and what is the same whichever programs it is reduced to. */
interface Parts {
  readonly object: OpenObject;
  readonly uses: MapUses;
  readonly file: ObjectFile;
  readonly externs: ReturnType<typeof requiredExterns>;
  readonly hasStructs: boolean;
}

const partsOf = (object: OpenObject, uses: MapUses, file: ObjectFile): Parts => ({
  ...{ object, uses, file },
  externs: requiredExterns(object),
  hasStructs: hasStructs(object, file.programs),
});

const notUsed = (externs: Parts["externs"], used: Used | null): Parts["externs"] =>
  used === null ? [] : externs.filter(({ index }) => !used.symbols.has(index));

/** Takes out what none of the programs in `loaded` needs. */
function reducedTo(
  { object, uses, file: { maps, programs }, externs, hasStructs }: Parts,
  loaded: ReadonlySet<string>,
  isMadeAnyway: (map: ObjectMap) => boolean,
): BytesForLibbpf {
  const used = uses.of([...loaded]);
  const needed = maps.filter((map) => used === null || used.maps.has(map.name) || isMadeAnyway(map));
  const made = new Set(needed.map(({ name }) => name));
  // What they hold may hold maps itself; a value that is added comes later in this loop.
  for (const name of made) {
    for (const { map, target, kind } of uses.initialValues) if (map === name && kind === "map") made.add(target);
  }
  const gone = uses.initialValues.filter(
    ({ map, target, kind }) => !made.has(map) || (kind === "program" && !loaded.has(target)),
  );
  const filled = withoutInitialValues(object, gone);
  const optional = withOptionalExterns(filled, notUsed(externs, used));
  const { object: reduced, structs } = hasStructs
    ? withStructsOf(
        optional,
        programs.filter(({ name }) => loaded.has(name)),
      )
    : { object: optional, structs: PLAIN.structs };
  return {
    bytes: reduced.bytes,
    unusedMaps: new Set(maps.map(({ name }) => name).filter((name) => !made.has(name))),
    structs,
  };
}

/** Where a type of an object's map differs from one in BTF of the kernel. */
export interface LayoutDifference {
  readonly field: "key" | "value";
  readonly object: string;
  readonly kernel: string;
}

/** BTF, and the types of a map's key and value in it; 0 where nothing is said. */
interface KernelTypes {
  readonly btf: Uint8Array;
  readonly key: number;
  readonly value: number;
}

/**
 * Compares how keys and values of the map `name` lie in memory with what the kernel has for another one, where both say.
 * Answers the first difference of each. Throws INVALID_OBJECT.
 */
export function layoutDifferences(bytes: Uint8Array, name: string, kernel: KernelTypes): LayoutDifference[] {
  const ours = openForLibbpf(bytes).btf();
  if (ours === null) return [];
  const types = readMapTypes(ours).get(name);
  const theirs = openBtf(new Fields(kernel.btf, ours.types.format, "BTF"));
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

/**
 * The bytes of a sound object as the twin of a program is loaded from them ({@link bytesForTwin}); null without BTF. As when
 * the program was loaded, kernel functions and variables that only other programs use may be missing.
 */
export function twinBytes(bytes: Uint8Array, program: string, hook: ChainedKind): Uint8Array | null {
  const { object } = withStructsOf(openForLibbpf(bytes), []);
  const used = readMapUses(object).of([program]);
  return bytesForTwin(withOptionalExterns(object, notUsed(requiredExterns(object), used)), program, hook);
}

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

function readLicense(object: OpenObject): string | null {
  const fields = object.fields("license", "licence");
  if (fields === null) return null;
  const { bytes } = fields;
  const end = bytes.indexOf(0);
  const text = new TextDecoder().decode(bytes.subarray(0, Math.min(end < 0 ? bytes.length : end, LICENSE_BYTES_MAX)));
  if (hasControlCharacters(text)) throw refuse(`its licence has control characters: ${JSON.stringify(text)}`);
  return text;
}

function readDefinedMaps(object: OpenObject): ObjectMap[] {
  if (object.section(MAPS_SECTION) === undefined) return [];
  const btf = object.btf();
  if (btf === null) throw refuse("it has maps, but no BTF to describe them", "compile with clang -g");
  return readMaps(btf);
}
