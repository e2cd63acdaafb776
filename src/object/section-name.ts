import { KINDS, PROGRAM_TYPES, type ProgramType, sectionParts } from "../domain/kinds.ts";

/** By the full name of a section, or the part before its slash; the executable has it as a constant (`scripts/bundle.ts`). */
export const KIND_OF_SECTION: Readonly<Record<string, ProgramType>> = Object.fromEntries(
  PROGRAM_TYPES.flatMap((kind) => Object.keys(KINDS[kind].sections).map((name) => [name, kind] as const)),
);

export interface SectionName {
  /** Null if no prefix matches. */
  readonly kind: ProgramType | null;
  /** The part after the slash of the prefix; null if there is none. */
  readonly target: string | null;
}

/**
 * Returns what the name of an executable section says about its programs: the full name (`xdp/devmap`), or the part before
 * the first slash.
 */
export function parseSectionName(section: string): SectionName {
  const { name, head, target } = sectionParts(section);
  const whole = kindOf(name);
  return whole === null && head !== name ? { kind: kindOf(head), target } : { kind: whole, target: null };
}

const kindOf = (section: string): ProgramType | null =>
  Object.hasOwn(KIND_OF_SECTION, section) ? (KIND_OF_SECTION[section] as ProgramType) : null;
