/** Programs that nobody asked for, and that those asked for call by way of program arrays that the object fills. */
import { KINDS } from "../../domain/kinds.ts";
import type { ObjectFile } from "../../domain/object-file.ts";
import type { ProgramSpec } from "../../domain/program.ts";
import type { ProgramToLoad } from "../../platform/kernel.ts";

/**
 * As what they are loaded: their section decides, or the program that reaches them where it does not say. `reached` has
 * those by the program that was asked for.
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
      // libbpf rejects a value that is not a program of the object, or whose type is unknown.
      if (chosen.has(name) || kind === undefined || kind === "unmanaged") continue;
      const type = kind ?? itsType;
      found.set(name, { name, type, attachFunction: KINDS[type].needsFunction ? attachFunction : null });
    }
  }
  return [...found.values()];
}
