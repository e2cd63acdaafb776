import { KINDS, PROGRAM_TYPES, type ProgramType, sectionParts } from "../domain/kinds.ts";

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
  PROGRAM_TYPES.findLast((kind) => Object.hasOwn(KINDS[kind].sections, section)) ?? null;
