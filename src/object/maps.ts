import { MAP_FIELDS_MAX, OBJECT_MAPS_MAX } from "../domain/limits.ts";
import type { ObjectMap } from "../domain/object-file.ts";
import type { BpfmanError } from "../errors/error.ts";
import { type Btf, type BtfType, KIND, arrayOf, bareType, findDatasec, membersOf, sizeOfType, typeOf } from "./btf.ts";
import type { Refuse } from "./fields.ts";

/** The section of map definitions. */
export const MAPS_SECTION = ".maps";

/** LIBBPF_PIN_NONE, LIBBPF_PIN_BY_NAME (enum libbpf_pin_type), and aya's PinningType. */
const PIN_NONE = 0;
const PIN_BY_NAME = 1;

/** Other loaders have more pinning types: Cilium's CILIUM_PIN_REPLACE, iproute2's PIN_GLOBAL_NS. */
const unknownPinning = (refuse: Refuse, map: string, pinning: number): BpfmanError =>
  refuse(
    `its map "${map}" has pinning ${pinning}, which belongs to another loader: bpfman knows ${PIN_NONE} (none) and ${PIN_BY_NAME} (LIBBPF_PIN_BY_NAME)`,
    `compile it with LIBBPF_PIN_BY_NAME or without pinning; to use a map that is already pinned, add --map ${map}=PIN`,
  );

/** BPF_MAP_TYPE_STRUCT_OPS (enum bpf_map_type). */
const STRUCT_OPS = 26;
const U32_MAX = 0xffff_ffff;
/** Size of a value in a map-in-map or program array: the ID of the object it refers to. */
const REFERENCE_BYTES = 4;

/**
 * Returns the maps of an object. Each variable in section .maps is a struct whose field types form the definition: a
 * number n is `int (*field)[n]` (`__uint` in bpf_helpers.h), a type T is `T *field` (`__type`), and the inner map of a
 * map-in-map is `struct inner *values[]` (`__array`).
 */
export function readMaps(btf: Btf): ObjectMap[] {
  const { types } = btf;
  const section = findDatasec(btf, MAPS_SECTION);
  if (section === null) throw types.format.refuse(`its BTF does not describe section "${MAPS_SECTION}"`);
  if (section.count > OBJECT_MAPS_MAX)
    throw types.format.refuse(`it has ${section.count} maps, more than ${OBJECT_MAPS_MAX}`);
  return membersOf(section).map((at, index) => {
    const variable = typeOf(btf, types.u32(at));
    const name = btf.strings.name(variable.nameAt);
    if (variable.kind !== KIND.variable || name === "")
      throw types.format.refuse(`its map number ${index + 1} is not a named variable`);
    return readMap(btf, { name, definition: bareType(btf, variable.sizeOrType), inner: false });
  });
}

/** Returns the key and value types of maps that declare them (`__type`), by map name. */
export function readMapTypes(
  btf: Btf,
): ReadonlyMap<string, { readonly key: number | null; readonly value: number | null }> {
  const section = findDatasec(btf, MAPS_SECTION);
  return new Map(
    (section === null ? [] : membersOf(section)).map((at) => {
      const variable = typeOf(btf, btf.types.u32(at));
      const fields = fieldsOf(btf, bareType(btf, variable.sizeOrType));
      const targetOf = (field: string): number | null => {
        const pointer = fields.get(field);
        return pointer === undefined ? null : bareType(btf, pointer).sizeOrType;
      };
      return [btf.strings.name(variable.nameAt), { key: targetOf("key"), value: targetOf("value") }] as const;
    }),
  );
}

/** Returns the types of a struct's fields. */
const fieldsOf = (btf: Btf, struct: BtfType): ReadonlyMap<string, number> =>
  new Map(membersOf(struct).map((at) => [btf.strings.name(btf.types.u32(at)), btf.types.u32(at + 4)]));

interface Draft {
  readonly name: string;
  readonly definition: BtfType;
  /** True for the definition of an inner map. */
  readonly inner: boolean;
}

function readMap(btf: Btf, { name, definition, inner }: Draft): ObjectMap {
  const bad = (reason: string) => btf.types.format.refuse(`its map "${name}" ${reason}`);
  if (definition.kind !== KIND.struct) throw bad("is not defined by a struct");
  if (definition.count > MAP_FIELDS_MAX) throw bad(`has ${definition.count} fields, more than ${MAP_FIELDS_MAX}`);
  const fields = fieldsOf(btf, definition);

  const number = (field: string): number | null => {
    const id = fields.get(field);
    if (id === undefined) return null;
    const pointer = bareType(btf, id);
    const array = pointer.kind === KIND.pointer ? bareType(btf, pointer.sizeOrType) : null;
    if (array?.kind !== KIND.array) throw bad(`has a field "${field}" that was not made with __uint`);
    return arrayOf(btf, array).elements;
  };
  const size = (field: string): number | null => {
    const id = fields.get(field);
    if (id === undefined) return number(`${field}_size`);
    const pointer = bareType(btf, id);
    const bytes = pointer.kind === KIND.pointer ? sizeOfType(btf, pointer.sizeOrType) : null;
    if (bytes === null || bytes > U32_MAX) throw bad(`has a ${field} whose type has no size`);
    return bytes;
  };

  const type = number("type");
  if (type === null) throw bad("has no type");
  // libbpf would treat it as a map it created from section .struct_ops and dereference a NULL pointer.
  if (type === STRUCT_OPS) throw bad('is of type STRUCT_OPS, which cannot be defined in section ".maps"');
  const pinning = number("pinning") ?? PIN_NONE;
  if (pinning !== PIN_NONE && pinning !== PIN_BY_NAME) throw unknownPinning(btf.types.format.refuse, name, pinning);
  const values = fields.get("values");
  const element = values === undefined ? null : elementOfValues(btf, values);
  if (element !== null && element.kind !== KIND.struct && element.kind !== KIND.functionProto) {
    throw bad("has values that are neither maps nor programs");
  }
  if (element !== null && inner)
    throw bad("is inside a map and contains maps itself, but only two levels are possible");
  return {
    name,
    type,
    keySize: size("key"),
    valueSize: element === null ? size("value") : REFERENCE_BYTES,
    maxEntries: number("max_entries"),
    flags: number("map_flags") ?? 0,
    extra: number("map_extra") ?? 0,
    pinByName: pinning === PIN_BY_NAME,
    inner:
      element?.kind === KIND.struct ? readMap(btf, { name: `${name}.inner`, definition: element, inner: true }) : null,
  };
}

/** Returns the type the pointers in array `values` point to. */
function elementOfValues(btf: Btf, id: number): BtfType {
  const array = bareType(btf, id);
  const pointer = array.kind === KIND.array ? bareType(btf, arrayOf(btf, array).type) : null;
  return pointer?.kind === KIND.pointer ? bareType(btf, pointer.sizeOrType) : array;
}
