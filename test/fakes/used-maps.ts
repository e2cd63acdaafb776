/** Which maps each program of an object uses, according to its relocations, as libbpf and the kernel see it at load. */
import { type ElfSymbol, namedSections, openElf, SHT, STT, sectionFields, symbols } from "../../src/object/elf.ts";
import { memorySource } from "../../src/object/fields.ts";
import { BpfmanError } from "../../src/errors/error.ts";

const RELOCATION_BYTES = 16;
const DATA_SECTION = /^\.(rodata|data|bss)/;

interface Relocation {
  /** Byte in the section of code. */
  readonly at: number;
  readonly symbol: ElfSymbol;
}

/** Program name -> names of maps, and of sections of global variables. `.rodata` is bound to every program. */
export function usedMaps(bytes: Uint8Array): ReadonlyMap<string, ReadonlySet<string>> {
  const elf = openElf(memorySource(bytes), (reason) => new BpfmanError("INVALID_OBJECT", reason));
  const sections = namedSections(elf);
  const table = sections.find((section) => section.type === SHT.symtab);
  if (table === undefined) return new Map();
  const strings = sectionFields(elf, sections[table.link]!, "symbol names");
  const all = [...symbols(elf, table)];
  const nameOf = (symbol: ElfSymbol): string => strings.name(symbol.nameAt);
  const sectionOf = (symbol: ElfSymbol): string => sections[symbol.section ?? 0]?.name ?? "";

  function relocations(code: string): Relocation[] {
    const section = sections.find((each) => each.name === `.rel${code}`);
    if (section === undefined) return [];
    const fields = sectionFields(elf, section, "relocations");
    return Array.from({ length: section.size / RELOCATION_BYTES }, (_, index) => {
      const entry = index * RELOCATION_BYTES;
      return { at: fields.u32(entry), symbol: all[fields.u32(entry + 12)]! };
    });
  }

  /** A call into another section stands for all that is done there. */
  function mapsIn(found: readonly Relocation[]): string[] {
    return found.flatMap(({ symbol }) => {
      const target = sectionOf(symbol);
      if (target === ".maps") return [nameOf(symbol)];
      if (DATA_SECTION.test(target)) return [target];
      return target === ".text"
        ? mapsIn(relocations(".text").filter((each) => sectionOf(each.symbol) !== ".text"))
        : [];
    });
  }

  const constants = sections.map((section) => section.name).filter((name) => /^\.rodata(\.(?!str)|$)/.test(name));
  const functions = all.filter((symbol) => symbol.type === STT.func);
  return new Map(
    functions.map((symbol) => {
      const end = symbol.value + symbol.size;
      const own = relocations(sectionOf(symbol)).filter(({ at }) => at >= symbol.value && at < end);
      return [nameOf(symbol), new Set([...mapsIn(own), ...constants])];
    }),
  );
}
