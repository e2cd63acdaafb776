/** Programs that were not requested, but that requested ones call through program arrays that the object fills. */
import { KINDS } from "../../domain/kinds.ts";
import type { ObjectFile } from "../../domain/object-file.ts";
import type { ProgramSpec } from "../../domain/program.ts";
import type { ProgramToLoad } from "../../platform/kernel.ts";

/**
 * Returns these programs with the types to load them with: the type of their section, or of the program that reaches them
 * if the section says nothing. `reached` lists them by requested program.
 */
export function loadedAlongside(
  { programs }: ObjectFile,
  specs: readonly ProgramSpec[],
  reached: ReadonlyMap<string, readonly string[]>,
): ProgramToLoad[] {
  const sections = new Map(programs.map(({ name, kind }) => [name, kind]));
  const chosen = new Set(specs.map(({ name }) => name));
  const found = new Map<string, ProgramToLoad>();
  for (const { name: asked, type: itsType, attachFunction } of specs) {
    for (const name of reached.get(asked) ?? []) {
      const kind = sections.get(name);
      // If it is not a program of the object, libbpf rejects the load.
      if (chosen.has(name) || kind === undefined) continue;
      const type = kind ?? itsType;
      found.set(name, { name, type, attachFunction: KINDS[type].needsFunction ? attachFunction : null });
    }
  }
  return [...found.values()];
}
