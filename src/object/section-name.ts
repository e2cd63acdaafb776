import { KINDS, PROGRAM_TYPES, type ProgramType, sectionParts } from "../domain/kinds.ts";

const SECTIONS: ReadonlyMap<string, ProgramType> = new Map(
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
  const whole = SECTIONS.get(name);
  return whole === undefined ? { kind: SECTIONS.get(head) ?? null, target } : { kind: whole, target: null };
}
