import { OBJECT_ENTRIES_MAX } from "../domain/limits.ts";
import type { ObjectGlobal, ObjectProgram } from "../domain/object-file.ts";
import { type ElfSymbol, type NamedSection, SHT, STT } from "./elf.ts";
import { isCode, type OpenObject } from "./open-object.ts";
import { TEXT } from "./program-layout.ts";
import { parseSectionName, type SectionName } from "./section-name.ts";

/** Sections that libbpf turns into maps of global variables. String literals (.rodata.str1.1) are not variables. */
const isDataSection = (name: string): boolean =>
  [".rodata", ".data", ".bss"].some(
    (head) => name === head || (name.startsWith(`${head}.`) && !name.startsWith(`${head}.str`)),
  );

/** The entry points and variables of an object, by section and offset. */
export interface Entries {
  readonly programs: readonly ObjectProgram[];
  readonly globals: readonly ObjectGlobal[];
}

/**
 * Programs are the global functions in executable sections other than .text; functions that are static or in .text are
 * called by them. Global variables are the objects in data sections. Neither requires BTF.
 */
export function readEntries({ elf: { refuse }, sections, symbols }: OpenObject): Entries {
  const roles = sections.map(roleOf);
  const programs: Placed<ObjectProgram>[] = [];
  const globals: Placed<ObjectGlobal>[] = [];
  for (const symbol of symbols.named) {
    const section = symbol.section === null ? undefined : sections[symbol.section];
    if (section === undefined) continue;
    const role = roles[section.index];
    if (!(role === "data" ? isVariable(symbol) : role && isEntryPoint(symbol))) continue;

    const name = symbols.nameOf(symbol);
    if (name === "" || name.startsWith(".")) continue;
    const { value: offset, size } = symbol;
    if (offset + size > section.size) throw refuse(`its symbol "${name}" reaches beyond section "${section.name}"`);
    if (role === "data") globals.push({ symbol, entry: { name, section: section.name, offset, size } });
    else if (role) {
      programs.push({ symbol, entry: { name, section: section.name, kind: role.kind, target: role.target } });
    }
    if (programs.length + globals.length > OBJECT_ENTRIES_MAX) {
      throw refuse(`it has more than ${OBJECT_ENTRIES_MAX} programs and global variables`);
    }
  }
  return { programs: inOrder(programs), globals: inOrder(globals) };
}

/** What the name of a section says about the programs in it. */
function roleOf(section: NamedSection): SectionName | "data" | null {
  const { name, type, size } = section;
  if (isCode(section)) return name !== TEXT && size > 0 ? parseSectionName(name) : null;
  return (type === SHT.progbits || type === SHT.nobits) && isDataSection(name) ? "data" : null;
}

const isEntryPoint = (symbol: ElfSymbol) => symbol.type === STT.func;

/** Symbols without a size are labels. */
const isVariable = (symbol: ElfSymbol) => symbol.type === STT.object && symbol.size > 0;

interface Placed<Entry> {
  readonly symbol: ElfSymbol;
  readonly entry: Entry;
}

function inOrder<Entry>(placed: Placed<Entry>[]): Entry[] {
  const order = (a: ElfSymbol, b: ElfSymbol) => (a.section ?? 0) - (b.section ?? 0) || a.value - b.value;
  placed.sort((a, b) => order(a.symbol, b.symbol));
  return placed.map(({ entry }) => entry);
}
