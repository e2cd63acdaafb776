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

/** How many bytes an event of a type has in the buffer: that of a perf buffer is padded, with the size in front, to 8 bytes. */
const eventBytes = ({ bytes }: ValueType, isRing: boolean): number =>
  isRing ? bytes : Math.ceil((bytes + 4) / 8) * 8 - 4;

/**
 * Returns the types that are named, or those that events can be, by the sizes of their events; none if there are none, or no
 * BTF. Throws TYPE_NOT_FOUND, TYPE_AMBIGUOUS for two of one size, INVALID_OBJECT for BTF that contradicts itself.
 */
export function eventTypes(
  host: Host,
  known: KnownMap,
  { named, isRing }: { readonly named: readonly string[]; readonly isRing: boolean },
): Map<number, ValueType> {
  const btfs = btfsOf(host, known);
  const typesIn = (btf: Btf, ids: readonly number[]) =>
    ids.flatMap((id): Found[] => {
      const type = valueTypes(btf)(id);
      return type === null ? [] : [{ type, name: typeName(btf, id) }];
    });
  const first = (idsOf: (btf: Btf) => readonly number[]): Found[] =>
    btfs
      .values()
      .map((btf) => typesIn(btf, idsOf(btf)))
      .find((found) => found.length > 0) ?? [];
  const found =
    named.length === 0
      ? first((btf) => candidates(btf, known.name))
      : named.flatMap((name) => {
          const [type] = first((btf) => typesNamed(btf, name).slice(0, 1));
          if (type === undefined) throw notFound(known, name, btfs);
          return [type];
        });
  const sizes = Map.groupBy(found, ({ type }) => eventBytes(type, isRing));
  for (const [bytes, alike] of sizes) {
    const names = [...new Set(alike.map(({ name }) => name))].sort();
    if (names.length === 1) continue;
    throw new BpfmanError(
      "TYPE_AMBIGUOUS",
      `an event of ${bytes} bytes of map ${known.id} (${known.name}) can be of ${names.length} types: ${names.join(", ")}`,
      {
        details: { map_id: known.id, types: names },
        hint: `types are told apart by their sizes: choose one of each, as in --type "${names[0]}"`,
      },
    );
  }
  return new Map([...sizes].flatMap(([bytes, [one]]) => (one === undefined ? [] : [[bytes, one.type]])));
}

/** BTF of the programs that use the map, each once. */
function btfsOf(host: Host, known: KnownMap): Btf[] {
  const objects = new Map(usersOf(host, known).map((program) => [program.btfId, program]));
  return [...objects.values()].flatMap((program) => {
    const bytes = host.kernel.programBtf(program);
    return bytes === null ? [] : [btfOf(bytes, refuse)];
  });
}

/** Returns the names of the structs that events can be; of all structs, unless only `likely` ones are wanted and there are any. */
export function structsFor(host: Host, known: KnownMap, likely: boolean): string[] {
  const btfs = btfsOf(host, known);
  const found = likely ? namesOf(btfs, (btf) => candidates(btf, known.name)) : [];
  return found.length > 0 ? found : namesOf(btfs, ids);
}

/** Returns the names of the structs among these types. */
function namesOf(btfs: readonly Btf[], idsOf: (btf: Btf) => readonly number[]): string[] {
  const names = btfs.flatMap((btf) =>
    idsOf(btf).flatMap((id) => {
      const { kind, nameAt } = typeOf(btf, id);
      const name = isStruct(kind) ? btf.strings.name(nameAt) : "";
      return name === "" ? [] : [name];
    }),
  );
  return [...new Set(names)].sort();
}

interface Found {
  readonly type: ValueType;
  /** As C spells it. */
  readonly name: string;
}

function notFound(known: KnownMap, named: string, btfs: readonly Btf[]): BpfmanError {
  const reason = btfs.length === 0 ? "its programs have no type information (BTF)" : "its programs know no such type";
  return new BpfmanError(
    "TYPE_NOT_FOUND",
    `no type "${named}" for the events of map ${known.id} (${known.name}): ${reason}`,
    {
      details: { map_id: known.id, type: named },
      hint:
        btfs.length === 0
          ? "compile them with -g, or leave out --type to see bytes"
          : `${whatThereIs(named, namesOf(btfs, ids), { there: "there are", none: "there are none" })}; a global such as "const struct T *unused" puts a type there`,
    },
  );
}
