import type { SourceLine } from "../domain/source-line.ts";
import { type Btf, openBtf } from "./btf.ts";
import { type LineRecord, lineRecords, sourceText } from "./btf-ext.ts";
import { type Elf, type NamedSection, namedSections, openElf, sectionFields } from "./elf.ts";
import { memorySource, type Refuse } from "./fields.ts";
import { INSTRUCTION_BYTES, type PlacedFunction, programLayout } from "./program-layout.ts";

/** What says of which line an instruction is. */
interface Lines {
  readonly btf: Btf;
  readonly of: (section: string) => readonly LineRecord[];
}

/**
 * Finds lines for the instructions of one program of an object file. The finder answers null for an instruction that
 * the program does not have, and throws, as this function does, what `refuse` makes of a file that is not sound.
 */
export function sourceLines(
  bytes: Uint8Array,
  program: string,
  refuse: Refuse,
): (instruction: number) => SourceLine | null {
  const elf = openElf(memorySource(bytes), refuse);
  const sections = namedSections(elf);
  const layout = programLayout(elf, sections, program) ?? [];
  const lines = openLines(elf, sections);
  return (instruction) => {
    const inside = layout.find(({ start, count }) => instruction >= start && instruction < start + count);
    return inside === undefined ? null : { instruction, function: inside.name, ...place(inside, instruction, lines) };
  };
}

function openLines(elf: Elf, sections: readonly NamedSection[]): Lines | null {
  const byName = (name: string) => sections.find((section) => section.name === name && section.size > 0);
  const [types, ext] = [byName(".BTF"), byName(".BTF.ext")];
  if (types === undefined || ext === undefined) return null;
  const btf = openBtf(sectionFields(elf, types, "BTF"));
  const fields = sectionFields(elf, ext, "BTF.ext");
  return { btf, of: (section) => lineRecords(fields, btf, section) };
}

type Place = Pick<SourceLine, "file" | "line" | "column" | "text">;
const NOWHERE: Place = { file: null, line: null, column: null, text: null };

function place({ section, offset, start }: PlacedFunction, instruction: number, lines: Lines | null): Place {
  if (lines === null) return NOWHERE;
  const at = offset + (instruction - start) * INSTRUCTION_BYTES;
  // What the compiler put in between belongs to no line, that is to the one before.
  const before = lines.of(section.name).filter((record) => record.line > 0 && record.offset >= offset);
  const record = before.findLast((candidate) => candidate.offset <= at);
  if (record === undefined) return NOWHERE;
  return {
    file: sourceText(lines.btf, record.fileAt),
    line: record.line,
    column: record.column === 0 ? null : record.column,
    text: sourceText(lines.btf, record.textAt),
  };
}
