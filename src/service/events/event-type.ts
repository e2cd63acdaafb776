/** Finds the type of the events that programs pass through a buffer, in the BTF of these programs. */
import { BpfmanError } from "../../errors/error.ts";
import { whatThereIs } from "../../errors/suggest.ts";
import { bareType, type Btf, btfOf, KIND, sizeOfType, typeOf } from "../../object/btf.ts";
import { typeName, type ValueType, valueTypes } from "../../object/btf-value.ts";
import { readMapTypes } from "../../object/maps.ts";
import type { Host } from "../../platform/host.ts";
import type { KernelProgram } from "../../platform/kernel.ts";
import type { KnownMap } from "../map/find-map.ts";

const isStruct = (kind: number): boolean => kind === KIND.struct || kind === KIND.union;
const NAMED: readonly number[] = [KIND.struct, KIND.union, KIND.typedef, KIND.enum, KIND.enum64, KIND.int];

const ids = (btf: Btf): readonly number[] => [...btf.places.keys()].slice(1);

/** Types with a name and a size; structs first, as C keeps their names apart. */
function typesNamed(btf: Btf, given: string): readonly number[] {
  const name = given.replace(/^(struct|union|enum)\s+/, "");
  const found = ids(btf).filter((id) => {
    const { kind, nameAt } = typeOf(btf, id);
    return NAMED.includes(kind) && btf.strings.name(nameAt) === name && sizeOfType(btf, id) !== null;
  });
  return found.sort((a, b) => Number(isStruct(typeOf(btf, b).kind)) - Number(isStruct(typeOf(btf, a).kind)));
}

/** What the map's definition says (`__type(value, …)`), and global pointers to structs, which bpf2go's users declare for it. */
function candidates(btf: Btf, map: string): readonly number[] {
  const declared = readMapTypes(btf).get(map)?.value ?? 0;
  if (declared !== 0 && isStruct(bareType(btf, declared).kind)) return [declared];
  const pointers = ids(btf).flatMap((id) => {
    const { kind, sizeOrType } = typeOf(btf, id);
    const pointer = kind === KIND.variable ? bareType(btf, sizeOrType) : null;
    if (pointer?.kind !== KIND.pointer) return [];
    const target = bareId(btf, pointer.sizeOrType);
    return isStruct(typeOf(btf, target).kind) ? [target] : [];
  });
  return [...new Set(pointers)];
}

/** The type behind `const` and the like; a typedef's, too, so that each struct counts once. */
function bareId(btf: Btf, id: number): number {
  const bare = bareType(btf, id);
  for (let at = id; ; ) {
    const type = typeOf(btf, at);
    if (type.tail === bare.tail && type.kind === bare.kind) return at;
    at = type.sizeOrType;
  }
}

/** Programs that use the map: bpfman's first. */
export function usersOf(host: Host, { id, programs }: KnownMap): KernelProgram[] {
  const ours = programs.flatMap((program) => host.kernel.program(program.id) ?? []);
  if (ours.length > 0) return ours;
  return host.kernel.programIds().flatMap((each) => {
    const program = host.kernel.program(each);
    return program?.mapIds.includes(id) === true ? program : [];
  });
}

const refuse = (reason: string): BpfmanError => new BpfmanError("INVALID_OBJECT", reason);

/**
 * Returns the type that is named, or the only one that it can be; null if there is none, or no BTF. Throws TYPE_NOT_FOUND,
 * TYPE_AMBIGUOUS, INVALID_OBJECT for BTF that contradicts itself.
 */
export function eventType(host: Host, known: KnownMap, named: string | null): ValueType | null {
  const objects = new Map(usersOf(host, known).map((program) => [program.btfId, program]));
  const btfs = [...objects.values()].flatMap((program) => {
    const bytes = host.kernel.programBtf(program);
    return bytes === null ? [] : [btfOf(bytes, refuse)];
  });
  for (const btf of btfs) {
    const found = named === null ? candidates(btf, known.name) : typesNamed(btf, named).slice(0, 1);
    const [id] = found;
    if (id === undefined) continue;
    if (found.length > 1) {
      const names = found.map((each) => typeName(btf, each)).sort();
      throw new BpfmanError(
        "TYPE_AMBIGUOUS",
        `${names.length} types can be that of the events of map ${known.id} (${known.name}): ${names.join(", ")}`,
        { details: { map_id: known.id, types: names }, hint: `choose one, as in: --type "${names[0]}"` },
      );
    }
    const type = valueTypes(btf)(id);
    if (type !== null) return type;
  }
  if (named === null) return null;
  const names = new Set(
    btfs.flatMap((btf) =>
      ids(btf).flatMap((id) => {
        const { kind, nameAt } = typeOf(btf, id);
        const name = isStruct(kind) ? btf.strings.name(nameAt) : "";
        return name === "" ? [] : [name];
      }),
    ),
  );
  const reason = btfs.length === 0 ? "its programs have no type information (BTF)" : "its programs know no such type";
  throw new BpfmanError(
    "TYPE_NOT_FOUND",
    `no type "${named}" for the events of map ${known.id} (${known.name}): ${reason}`,
    {
      details: { map_id: known.id, type: named },
      hint:
        btfs.length === 0
          ? "compile them with -g, or leave out --type to see bytes"
          : `${whatThereIs(named, [...names].sort(), { there: "there are", none: "there are none" })}; a global such as "const struct T *unused" puts a type there`,
    },
  );
}
