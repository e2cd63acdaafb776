/** What BTF and sections say about an object beyond what loading it takes: types and values of variables, names of types. */
import { INSPECTED_VALUE_BYTES_MAX } from "../domain/limits.ts";
import type { ObjectFile, ObjectGlobal } from "../domain/object-file.ts";
import { type Btf, findDatasec, KIND, membersOf, typeOf } from "./btf.ts";
import { typeName, type ValueType, valueTypes } from "./btf-value.ts";
import { SHT, STB, STT, sectionFields } from "./elf.ts";
import { JsonText } from "./json-text.ts";
import { readMapTypes } from "./maps.ts";
import { openForLibbpf } from "./object-file.ts";
import type { OpenObject } from "./open-object.ts";

export interface GlobalValue extends ObjectGlobal {
  /** In C; null without BTF. */
  readonly type: string | null;
  /** Plain JSON; null if it is too large to show. */
  readonly value: unknown;
}

export interface Extern {
  readonly name: string;
  readonly kind: "function" | "variable" | "kconfig";
  readonly optional: boolean;
}

export interface Contents {
  readonly globals: readonly GlobalValue[];
  readonly externs: readonly Extern[];
  /** The types in C of keys and values, by map. */
  readonly mapTypes: ReadonlyMap<string, { readonly key: string | null; readonly value: string | null }>;
}

/** Reads a sound object further. Throws INVALID_OBJECT. */
export function readContents(bytes: Uint8Array, { globals }: ObjectFile): Contents {
  const object = openForLibbpf(bytes);
  const btf = object.btf();
  return {
    globals: globals.map(valuesOf(object, btf)),
    externs: externsOf(object, btf),
    mapTypes: btf === null ? new Map() : mapTypesOf(btf),
  };
}

function mapTypesOf(btf: Btf): Contents["mapTypes"] {
  const named = (id: number | null): string | null => (id === null ? null : typeName(btf, id));
  return new Map(
    [...readMapTypes(btf)].map(([name, { key, value }]) => [name, { key: named(key), value: named(value) }]),
  );
}

/** A global variable with its type. */
export interface TypedGlobal {
  /** In C; null without BTF. */
  readonly typeName: string | null;
  /** How its values are written and read; null if that is not known, or it is too large. */
  readonly type: ValueType | null;
  /** The bytes that it has in the object. */
  initial(): Uint8Array;
}

/** Returns what finds the types of the global variables of a sound object. Throws INVALID_OBJECT. */
export function globalTypes(bytes: Uint8Array): (global: ObjectGlobal) => TypedGlobal {
  const object = openForLibbpf(bytes);
  return typesOf(object, object.btf());
}

function typesOf(object: OpenObject, btf: Btf | null): (global: ObjectGlobal) => TypedGlobal {
  const typeOfVariable = new Map<string, number>();
  for (const section of new Set(object.sections.map(({ name }) => name))) {
    const variables = btf && findDatasec(btf, section);
    for (const at of variables ? membersOf(variables) : []) {
      const variable = typeOf(btf as Btf, (btf as Btf).types.u32(at));
      typeOfVariable.set(`${section}\0${(btf as Btf).strings.name(variable.nameAt)}`, variable.sizeOrType);
    }
  }
  const compile = btf === null ? null : valueTypes(btf);
  return (global) => {
    const id = typeOfVariable.get(`${global.section}\0${global.name}`);
    const compiled = id === undefined ? null : (compile?.(id) ?? null);
    return {
      typeName: btf === null || id === undefined ? null : typeName(btf, id),
      type: compiled?.bytes === global.size ? compiled : null,
      initial: () => bytesOf(object, global),
    };
  };
}

function valuesOf(object: OpenObject, btf: Btf | null): (global: ObjectGlobal) => GlobalValue {
  const find = typesOf(object, btf);
  return (global) => {
    const { typeName: type, type: compiled, initial } = find(global);
    if (global.size > INSPECTED_VALUE_BYTES_MAX) return { ...global, type, value: null };
    const bytes = initial();
    return { ...global, type, value: compiled === null ? bytes.toHex() : jsonOf(compiled, bytes) };
  };
}

function bytesOf({ sections, elf }: OpenObject, { section: name, offset, size }: ObjectGlobal): Uint8Array {
  const section = sections.find((each) => each.name === name && each.size > 0);
  if (section === undefined || section.type === SHT.nobits) return new Uint8Array(size);
  return sectionFields(elf, section, "variables").part(offset, size, "variables").bytes;
}

function jsonOf(type: ValueType, bytes: Uint8Array): unknown {
  const out = new JsonText({ quotesLargeIntegers: true });
  type.write(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0, out);
  return JSON.parse(out.toString());
}

/** Symbols that are not in the object, which libbpf looks up in the kernel. */
function externsOf({ symbols }: OpenObject, btf: Btf | null): Extern[] {
  const configured = btf && findDatasec(btf, ".kconfig");
  const options = new Set(
    configured
      ? membersOf(configured).map((at) => nameOf(btf as Btf, typeOf(btf as Btf, (btf as Btf).types.u32(at)).nameAt))
      : [],
  );
  const functions = new Set(
    btf === null
      ? []
      : Array.from(btf.places.keys(), (id) => typeOf(btf, id))
          .filter(({ kind }) => kind === KIND.function)
          .map(({ nameAt }) => nameOf(btf, nameAt)),
  );
  return symbols.named
    .filter(
      (symbol) => symbol.undefined && symbol.type === STT.none && symbol.index > 0 && symbols.nameOf(symbol) !== "",
    )
    .map((symbol) => {
      const name = symbols.nameOf(symbol);
      const kind = options.has(name) ? "kconfig" : functions.has(name) ? "function" : "variable";
      return { name, kind, optional: symbol.binding === STB.weak };
    });
}

const nameOf = (btf: Btf, at: number): string => btf.strings.name(at);
