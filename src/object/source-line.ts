import type { SourceLine } from "../domain/object-file.ts";
import type { Btf } from "./btf.ts";
import { type LineRecord, lineRecords, sourceText } from "./btf-ext.ts";
import type { Refuse } from "./fields.ts";
import { OpenObject } from "./open-object.ts";
import { INSTRUCTION_BYTES, type PlacedFunction, programLayouts } from "./program-layout.ts";

/** The information that maps instructions to source lines. */
interface Lines {
  readonly btf: Btf;
  readonly of: (section: string) => readonly LineRecord[];
}

/**
 * Returns the line of an instruction; null if the program does not have it. `named` is a name the instruction concerns:
 * compilers move some instructions before the line they belong to, so if the instruction's own line does not contain
 * the name, the next line of the same function that does is returned.
 */
type FindLine = (instruction: number, named?: string | null) => SourceLine | null;

/**
 * Returns a function that finds source lines for the instructions of one program of an object file. Both throw the
 * error of `refuse` for a malformed file.
 */
export function sourceLines(bytes: Uint8Array, program: string, refuse: Refuse): FindLine {
  const object = new OpenObject(bytes, refuse);
  const layout = programLayouts(object)(program) ?? [];
  const lines = openLines(object);
  return (instruction, named = null) => {
    const inside = layout.find(({ start, count }) => instruction >= start && instruction < start + count);
    if (inside === undefined) return null;
    return { instruction, function: inside.name, ...place(inside, { instruction, named }, lines) };
  };
}

function openLines(object: OpenObject): Lines | null {
  const [btf, ext] = [object.btf(), object.fields(".BTF.ext", "BTF.ext")];
  return btf && ext && { btf, of: (section) => lineRecords(ext, btf, section) };
}

type Place = Pick<SourceLine, "file" | "line" | "column" | "text">;
const NOWHERE: Place = { file: null, line: null, column: null, text: null };

interface Wanted {
  readonly instruction: number;
  readonly named: string | null;
}

function place(inside: PlacedFunction, { instruction, named }: Wanted, lines: Lines | null): Place {
  if (lines === null) return NOWHERE;
  const { section, offset, start, count } = inside;
  const at = offset + (instruction - start) * INSTRUCTION_BYTES;
  const end = offset + count * INSTRUCTION_BYTES;
  const known = lines
    .of(section.name)
    .filter((record) => record.line > 0 && record.offset >= offset && record.offset < end);
  // Instructions inserted by the compiler have no line of their own and count towards the previous one.
  const own = known.findLastIndex((candidate) => candidate.offset <= at);
  const hasName = (record: LineRecord): boolean =>
    sourceText(lines.btf, record.textAt)?.includes(named as string) === true;
  const record = (named === null ? undefined : known.slice(Math.max(own, 0)).find(hasName)) ?? known[own];
  if (record === undefined) return NOWHERE;
  return {
    file: sourceText(lines.btf, record.fileAt)?.replaceAll("/./", "/") ?? null,
    line: record.line,
    column: record.column === 0 ? null : record.column,
    text: sourceText(lines.btf, record.textAt),
  };
}
