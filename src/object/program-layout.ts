/**
 * Computes where each function is in a program as libbpf passes it to the kernel: the program's own instructions first,
 * then each called function of .text in the order of the calls, each immediately followed by the functions it calls
 * (bpf_object__reloc_code in libbpf's src/libbpf.c). Nothing else changes the number of instructions.
 */
import { PROGRAM_INSTRUCTIONS_MAX, SUBPROGRAMS_MAX } from "../domain/limits.ts";
import { type NamedSection, STT, sectionFields } from "./elf.ts";
import { isCode, type OpenObject } from "./open-object.ts";

export const INSTRUCTION_BYTES = 8;
export const TEXT = ".text";

/** Instruction format and pseudo calls: Documentation/bpf/standardization/instruction-set.rst. */
export const CALL = 0x85;
export const LOAD_IMMEDIATE_64 = 0x18;
const PSEUDO_CALL = 1;

/** A function inside a program. */
export interface PlacedFunction {
  readonly name: string;
  readonly section: NamedSection;
  /** Offset of its first instruction in the section, in bytes. */
  readonly offset: number;
  /** Index of its first instruction in the program. */
  readonly start: number;
  /** Number of instructions. */
  readonly count: number;
}

type Code = Omit<PlacedFunction, "start">;

/**
 * Returns what finds a program's functions, in order: null if the program does not exist or calls something that cannot be
 * found.
 */
export function programLayouts(object: OpenObject): (program: string) => PlacedFunction[] | null {
  const all = functionsOf(object);
  const callable = new Map(all.filter(({ section }) => section.name === TEXT).map((code) => [code.offset, code]));
  return (program) => {
    const main = all.find(({ section, name }) => section.name !== TEXT && name === program);
    return main === undefined ? null : assemble(object, { main, callable });
  };
}

function functionsOf({ sections, symbols }: OpenObject): Code[] {
  return symbols.named.flatMap((symbol): Code[] => {
    const section = symbol.section === null ? undefined : sections[symbol.section];
    if (symbol.type !== STT.func || section === undefined || !isCode(section)) return [];
    const { value: offset, size } = symbol;
    if (offset % INSTRUCTION_BYTES !== 0 || size === 0 || offset + size > section.size) return [];
    return [{ name: symbols.nameOf(symbol), section, offset, count: Math.floor(size / INSTRUCTION_BYTES) }];
  });
}

interface Functions {
  readonly main: Code;
  /** The functions that can be called, by offset. */
  readonly callable: ReadonlyMap<number, Code>;
}

function assemble(object: OpenObject, { main, callable }: Functions): PlacedFunction[] | null {
  const placed = new Map<Code, PlacedFunction>();
  let end = 0;
  const append = (next: Code): boolean => {
    placed.set(next, { ...next, start: end });
    end += next.count;
    if (placed.size > SUBPROGRAMS_MAX || end > PROGRAM_INSTRUCTIONS_MAX) return false;
    for (const target of calledOffsets(object, next)) {
      const called = callable.get(target);
      if (called === undefined || (!placed.has(called) && !append(called))) return false;
    }
    return true;
  };
  return append(main) ? [...placed.values()] : null;
}

/**
 * Returns the offsets of the instructions that call a function of the program, from one byte of the code up to another. Looks for
 * calls as the engine looks for a byte, because few instructions are any.
 */
export function callsIn(code: Uint8Array, from: number, to: number): number[] {
  const part = code.subarray(0, to);
  const calls: number[] = [];
  for (let at = part.indexOf(CALL, from); at >= 0; ) {
    const isStart = at % INSTRUCTION_BYTES === 0 && at + INSTRUCTION_BYTES <= to;
    if (isStart && (part[at + 1] ?? 0) >> 4 === PSEUDO_CALL) calls.push(at);
    at = part.indexOf(CALL, at - (at % INSTRUCTION_BYTES) + INSTRUCTION_BYTES);
  }
  return calls;
}

/** Yields the offsets in .text of the functions that a function calls or takes the address of, in instruction order. */
function* calledOffsets(object: OpenObject, { section, offset, count }: Code): Generator<number> {
  const bytes = sectionFields(object.elf, section, "instructions");
  const end = offset + count * INSTRUCTION_BYTES;
  const calls = new Set(callsIn(bytes.bytes, offset, end));
  const references = object.references(section.index, offset, end);
  const isNamed = new Set(calls.size === 0 ? [] : references.map(({ at }) => at));
  const unnamed = [...calls].flatMap((at) => (isNamed.has(at) ? [] : { at, symbol: null }));
  const places = unnamed.length === 0 ? references : [...references, ...unnamed].sort((a, b) => a.at - b.at);
  for (const { at, symbol } of places) {
    const isCall = calls.has(at);
    if (!isCall && (at % INSTRUCTION_BYTES !== 0 || bytes.u8(at) !== LOAD_IMMEDIATE_64)) continue;
    const immediate = bytes.u32(at + 4) | 0;
    if (symbol === null) {
      // Within one section the distance suffices, counted from the next instruction.
      if (isCall) yield at + (immediate + 1) * INSTRUCTION_BYTES;
      continue;
    }
    const target = symbol.section === null ? undefined : object.sections[symbol.section];
    // Kernel functions have no section here; constants and maps are loaded from other sections.
    if (target?.name !== TEXT) continue;
    if (isCall) yield symbol.value + (immediate + 1) * INSTRUCTION_BYTES;
    else if (symbol.type === STT.func || symbol.type === STT.section) yield symbol.value + immediate;
  }
}
