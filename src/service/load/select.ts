/** Matches the requested programs with the contents of an object. */
import { type ProgramType, KINDS, factsOf } from "../../domain/kinds.ts";
import type { ProgramSelector, ProgramSpec } from "../../domain/program.ts";
import type { ObjectFile, ObjectProgram } from "../../domain/object-file.ts";
import { BpfmanError } from "../../errors/error.ts";
import { whatThereIs } from "../../errors/suggest.ts";

/**
 * Returns the type a program is loaded with. For probes, the section decides whether it is a return probe, unless the
 * request insists; between tc and tcx, the user decides, since the program is the same. If the section name belongs to
 * no type, the user decides.
 */
function settleType(asked: ProgramSelector, program: ObjectProgram): ProgramType {
  const { kind } = program;
  const wanted = asked.actualType ?? asked.type;
  if (kind === null || kind === wanted) return wanted;
  const { family, sectionDecides } = factsOf(wanted);
  if (family !== null && family === factsOf(kind).family) {
    const isChosen = (asked.actualType ?? null) !== null || !sectionDecides;
    return isChosen ? wanted : kind;
  }
  throw new BpfmanError(
    "PROGRAM_TYPE_MISMATCH",
    `program type mismatch: asked for ${wanted}, but section "${program.section}" of ${asked.name} is ${kind}`,
    {
      details: { program: asked.name, asked: wanted, section: program.section, found: kind },
      hint: `use --programs ${kind}:${asked.name}`,
    },
  );
}

/**
 * Matches each selector with a program of the object, in the order of the selectors. Throws FUNCTION_NOT_FOUND,
 * PROGRAM_TYPE_MISMATCH, INVALID_PROGRAM.
 */
export function selectPrograms(object: ObjectFile, selectors: readonly ProgramSelector[]): ProgramSpec[] {
  // If several static functions have this name, libbpf gets the first.
  const byName = new Map(object.programs.toReversed().map((program) => [program.name, program]));
  const seen = new Set<string>();
  return selectors.map((asked) => {
    if (seen.has(asked.name))
      throw new BpfmanError("INVALID_PROGRAM", `program "${asked.name}" is named twice`, {
        hint: "name it once; one program can be attached to several hooks",
      });
    seen.add(asked.name);
    const program = byName.get(asked.name);
    if (!program) {
      const names = [...new Set(object.programs.map(({ name }) => name))];
      throw new BpfmanError("FUNCTION_NOT_FOUND", `no program "${asked.name}" in the object`, {
        details: { program: asked.name, programs: names },
        hint: whatThereIs(asked.name, names, { there: "the object has", none: "the object has no programs" }),
      });
    }
    const type = settleType(asked, program);
    if (KINDS[type].needsFunction && asked.attachFunction === null) {
      throw new BpfmanError(
        "INVALID_PROGRAM",
        `program "${asked.name}" of type ${type} needs the kernel function to attach to`,
        {
          hint: `use --programs ${type}:${asked.name}:FUNCTION`,
        },
      );
    }
    if (!KINDS[type].needsFunction && asked.attachFunction !== null) {
      throw new BpfmanError(
        "INVALID_PROGRAM",
        `program "${asked.name}" of type ${type} takes no third part "${asked.attachFunction}"`,
        {
          hint: `use --programs ${type}:${asked.name}`,
        },
      );
    }
    return Object.freeze({ name: asked.name, type, section: program.section, attachFunction: asked.attachFunction });
  });
}
