/**
 * Structs of the kernel's hooks (struct_ops): variables in sections .struct_ops and .struct_ops.link, whose members are
 * programs. libbpf makes a map of each, and loads the programs for their places in it.
 */
import type { ObjectProgram } from "../domain/object-file.ts";
import { BtfDraft } from "./btf-draft.ts";
import { type Btf, bareType, datasecId, KIND, memberPosition, membersOf, sizeOfType, typeOf } from "./btf.ts";
import { type NamedSection, SHT, STT } from "./elf.ts";
import { ElfDraft } from "./elf-draft.ts";
import { oneByOne, type OpenObject } from "./open-object.ts";

/** The section that all versions of libbpf know: `.link` came with 1.2, `?` with 1.4. */
const SECTION = ".struct_ops";
const SECTIONS = /^\??\.struct_ops(\.link)?$/;
const BITS = 8;

/** An object for libbpf, in which only the structs of the programs to load are left. */
export interface WithStructs {
  readonly object: OpenObject;
  /** The names of their maps, and whether they are to be registered by a link (BPF_F_LINK), as `.struct_ops.link` says. */
  readonly structs: ReadonlyMap<string, { readonly linked: boolean }>;
}

const NONE: WithStructs["structs"] = new Map();

/**
 * Leaves the structs of which one of these programs is a member, in the section that libbpf 1.1 knows. Of the others, libbpf
 * would make maps as well, whichever programs are loaded: versions before 1.4 use kernel BTF that they have not loaded (NULL),
 * and all fail if the kernel lacks the struct. Their sections become string tables, which libbpf skips with their
 * relocations. Names, offsets and BTF are kept, so that everything else is found as before. Throws the error of `refuse`.
 */
export function withStructsOf(object: OpenObject, programs: readonly ObjectProgram[]): WithStructs {
  const sections = object.sections.filter(({ name }) => SECTIONS.test(name));
  const wanted = new Set(programs.filter(({ kind }) => kind === "struct_ops").map(({ name }) => name));
  const { refuse } = object.elf;
  const members = sections.flatMap((section) => membersIn(object, section));
  const kept = members.filter(({ program }) => wanted.has(program));
  const strange = wanted
    .difference(new Set(kept.map(({ program }) => program)))
    .values()
    .next().value;
  if (strange !== undefined) {
    throw refuse(
      `its program "${strange}" is not a member of a struct in section "${SECTION}" or "${SECTION}.link"`,
      "assign it to a member of a variable there, and declare neither of them static",
    );
  }
  const [first] = kept;
  const other = kept.find(({ section }) => section !== first?.section);
  if (first !== undefined && other !== undefined) {
    throw refuse(
      `its programs "${first.program}" and "${other.program}" are members of structs in sections "${first.section.name}" and "${other.section.name}", of which libbpf loads one at a time`,
      "load them by two commands",
    );
  }
  const draft = new ElfDraft(object);
  for (const section of sections) {
    if (section === first?.section) continue;
    for (const { index } of [section, ...object.relocationTables(section.index)]) {
      draft.change(index, { type: SHT.strtab });
    }
  }
  if (first === undefined) return { object: draft.finish(), structs: NONE };
  const names = keepStructs(object, draft, first.section, { members, wanted });
  const linked = first.section.name.endsWith(".link");
  return { object: draft.finish(), structs: new Map(names.map((name) => [name, { linked }])) };
}

/** A relocation of a section of structs: the program at one place of it. */
interface Member {
  readonly section: NamedSection;
  readonly table: NamedSection;
  readonly index: number;
  readonly at: number;
  readonly program: string;
}

function membersIn(object: OpenObject, section: NamedSection): Member[] {
  const { symbols } = object;
  return object.relocationTables(section.index).flatMap((table) =>
    oneByOne(object.relocations(table)).flatMap(({ at, symbol: number }, index): Member[] => {
      const symbol = symbols.at(number);
      if (symbol === undefined) return [];
      // Of a static function, only the section is known, and libbpf would take the first that is in it.
      const program = symbol.type === STT.section ? "" : symbols.nameOf(symbol);
      return [{ section, table, index, at, program }];
    }),
  );
}

/** A variable of a section. */
interface Struct {
  readonly name: string;
  /** BTF ID of the variable. */
  readonly id: number;
  readonly offset: number;
  readonly size: number;
}

function structsIn(object: OpenObject, btf: Btf, section: NamedSection, datasec: number): Struct[] {
  const { elf, symbols } = object;
  const places = new Map(
    symbols.named.flatMap((symbol): [string, number][] =>
      symbol.section === section.index && symbol.type === STT.object ? [[symbols.nameOf(symbol), symbol.value]] : [],
    ),
  );
  return membersOf(typeOf(btf, datasec)).map((at): Struct => {
    const id = btf.types.u32(at);
    const variable = typeOf(btf, id);
    const name = btf.strings.name(variable.nameAt);
    const bad = (reason: string) => elf.refuse(`its struct "${name}" ${reason}`);
    const offset = places.get(name);
    if (offset === undefined) throw bad(`is not in section "${section.name}"`);
    const size = checkedSize(btf, variable.sizeOrType, bad);
    if (section.type !== SHT.progbits || offset + size > section.size) throw bad("reaches beyond its section");
    return { name, id, offset, size };
  });
}

/** Returns the size of a struct, whose members libbpf copies without looking where they end. */
function checkedSize(btf: Btf, id: number, bad: (reason: string) => Error): number {
  const type = bareType(btf, id);
  if (type.kind !== KIND.struct) throw bad("is not a struct");
  for (const member of membersOf(type)) {
    const bytes = sizeOfType(btf, btf.types.u32(member + 4));
    if (bytes === null || memberPosition(btf, type, member).at / BITS + bytes > type.sizeOrType)
      throw bad("has a member that reaches beyond it");
  }
  return type.sizeOrType;
}

interface Kept {
  readonly members: readonly Member[];
  /** The programs to load. */
  readonly wanted: ReadonlySet<string>;
}

/** Leaves those structs alone in the section, and gives it the name that libbpf knows. Returns their names. */
function keepStructs(object: OpenObject, draft: ElfDraft, section: NamedSection, { members, wanted }: Kept): string[] {
  const { refuse } = object.elf;
  const btf = object.btf();
  const datasec = btf && datasecId(btf, section.name);
  const types = object.section(".BTF");
  if (btf === null || datasec === null || types === undefined)
    throw refuse(`it has structs in section "${section.name}", but no BTF to describe them`, "compile with clang -g");
  const here = members.filter((member) => member.section === section);
  const within =
    ({ offset, size }: Struct) =>
    (member: Member) =>
      member.at >= offset && member.at < offset + size;
  const kept = structsIn(object, btf, section, datasec).filter((struct) =>
    here.filter(within(struct)).some(({ program }) => wanted.has(program)),
  );
  const unnamed = kept.find((struct) => here.filter(within(struct)).some(({ program }) => program === ""));
  if (unnamed !== undefined)
    throw refuse(
      `its struct "${unnamed.name}" has a static function as a member`,
      "declare the function without static",
    );
  const gone = here.filter((member) => !kept.some((struct) => within(struct)(member)));
  for (const [table, dropped] of Map.groupBy(gone, (member) => member.table)) {
    const indexes = new Set(dropped.map(({ index }) => index));
    draft.dropRelocations(table, (index) => indexes.has(index));
  }
  draft.change(section.index, { nameAt: draft.addName(SECTION) });
  // By their name, too, libbpf decides whether to read relocations.
  const relocationsAt = draft.addName(`.rel${SECTION}`);
  for (const { index } of object.relocationTables(section.index)) draft.change(index, { nameAt: relocationsAt });
  const described = new BtfDraft(btf, object.elf.littleEndian);
  const entries = kept.flatMap(({ id, offset, size }) => [id, offset, size]);
  described.replace(datasec, described.name(SECTION), [KIND.datasec, kept.length], section.size, ...entries);
  draft.replace(types.index, described.finish());
  return kept.map(({ name }) => name);
}
