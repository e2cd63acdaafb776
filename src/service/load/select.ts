/** Matches the requested programs with the contents of an object. */
import { factsOf, kernelTypeOf, PROGRAM_TYPES, type ProgramType, sectionParts } from "../../domain/kinds.ts";
import { PROGRAMS_PER_LOAD_MAX } from "../../domain/limits.ts";
import {
  EVERY_PROGRAM,
  isEveryProgram,
  partReplaced,
  type ProgramSelector,
  type ProgramSpec,
} from "../../domain/program.ts";
import type { ObjectFile, ObjectProgram } from "../../domain/object-file.ts";
import { BpfmanError } from "../../errors/error.ts";
import { didYouMean, whatThereIs } from "../../errors/suggest.ts";

/** Ends the hint for one of every program. */
const theOthers = (isOneOfAll: boolean): string =>
  isOneOfAll ? `; to load the others, name them in place of "${EVERY_PROGRAM}"` : "";

/**
 * Returns the type a program is loaded with. For probes, the section decides whether it is a return probe, unless the
 * request insists; between tc and tcx, the user decides, since the program is the same. If the section name belongs to
 * no type, the user decides.
 */
function settleType(asked: ProgramSelector, { name, kind, section }: ObjectProgram): ProgramType {
  const wanted = asked.actualType ?? asked.type ?? kind;
  if (wanted === null) {
    throw new BpfmanError("INVALID_PROGRAM", `section "${section}" of program "${name}" does not say its type`, {
      details: { program: name, section },
      hint: `${sectionLike(section)}name it TYPE:${name}`,
    });
  }
  const { family, sectionDecides } = factsOf(kind ?? wanted);
  if (kind === null || kind === wanted) return wanted;
  if (family !== null && family === factsOf(wanted).family) {
    const isChosen = (asked.actualType ?? null) !== null || !sectionDecides;
    return isChosen ? wanted : kind;
  }
  throw new BpfmanError(
    "PROGRAM_TYPE_MISMATCH",
    `program type mismatch: asked for ${wanted}, but section "${section}" of ${name} is ${kind}`,
    { details: { program: name, asked: wanted, section, found: kind }, hint: `name it ${kind}:${name}` },
  );
}

/** Names the sections of which this one may be a misspelling. */
function sectionLike(section: string): string {
  const known = PROGRAM_TYPES.flatMap((kind) => Object.keys(factsOf(kind).sections));
  const question = didYouMean(sectionParts(section).name, known);
  return question === null ? "" : `${question} If not, `;
}

/** Throws INVALID_PROGRAM for a kind whose sections say where it is to be attached, if this one says nothing. */
function requireAttachType(type: ProgramType, { name, section }: ObjectProgram): void {
  const facts = factsOf(type);
  if (kernelTypeOf(facts, section).expectedAttachType !== null) return;
  if (Object.values(facts.sections).some(({ expectedAttachType }) => expectedAttachType === undefined)) return;
  throw new BpfmanError(
    "INVALID_PROGRAM",
    `section "${section}" of program "${name}" does not say where ${facts.display} program is to be attached`,
    { details: { program: name, section }, hint: `its section can be ${Object.keys(facts.sections).join(", ")}` },
  );
}

/**
 * Returns `PROGRAM/FUNCTION`: what an freplace program replaces. The function may be left out where the section says it.
 * Throws INVALID_PROGRAM.
 */
export function settlePart(
  asked: Pick<ProgramSelector, "attachFunction">,
  { name, target }: Pick<ObjectProgram, "name" | "target">,
  isOneOfAll: boolean,
): string {
  const given = asked.attachFunction ?? "";
  const part = given === "" || given.includes("/") || target === null ? given : `${given}/${target}`;
  const { program, fnName } = partReplaced(part);
  if (program !== "" && fnName !== "") return part;
  throw new BpfmanError(
    "INVALID_PROGRAM",
    given === ""
      ? `program "${name}" replaces a function of another program, and that program is not named`
      : `program "${name}" of type freplace needs the program and the function to replace, and "${given}" is not both`,
    {
      details: { program: name },
      hint: `name it freplace:${name}:PROGRAM/${target ?? "FUNCTION"}, where PROGRAM is the ID or name of a program that bpfman loaded${theOthers(isOneOfAll)}`,
    },
  );
}

/** Returns what the program is checked against: what was asked for, or what its section names. Throws INVALID_PROGRAM. */
function settleFunction(
  type: ProgramType,
  asked: ProgramSelector,
  { name, section, target }: ObjectProgram,
  isOneOfAll: boolean,
): string | null {
  if (type === "freplace") return settlePart(asked, { name, target }, isOneOfAll);
  const { needsFunction } = factsOf(type);
  const found = asked.attachFunction ?? (needsFunction ? target : null);
  if (needsFunction === (found !== null)) return found;
  throw needsFunction
    ? new BpfmanError(
        "INVALID_PROGRAM",
        `program "${name}" of type ${type} needs the function or hook to attach to, and section "${section}" names none`,
        { hint: `name it ${type}:${name}:FUNCTION` },
      )
    : new BpfmanError("INVALID_PROGRAM", `program "${name}" of type ${type} takes no third part "${found}"`, {
        hint: `name it ${type}:${name}`,
      });
}

const namedTwice = (name: string, hint: string): BpfmanError =>
  new BpfmanError("INVALID_PROGRAM", `program "${name}" is named twice`, { details: { program: name }, hint });

/** Puts each program that is not named in the place of `all`. */
function withEvery({ programs }: ObjectFile, selectors: readonly ProgramSelector[]): readonly ProgramSelector[] {
  const every = selectors.filter(isEveryProgram);
  if (every.length === 0) return selectors;
  const names = new Set(programs.map(({ name }) => name));
  if (names.has(EVERY_PROGRAM)) return selectors;
  if (every.length > 1) throw namedTwice(EVERY_PROGRAM, "name it once");
  const others = names.difference(new Set(selectors.map(({ name }) => name)));
  const all = selectors.flatMap((asked): ProgramSelector[] =>
    isEveryProgram(asked) ? [...others].map((name) => ({ ...asked, name })) : [asked],
  );
  if (all.length > 0 && all.length <= PROGRAMS_PER_LOAD_MAX) return all;
  throw new BpfmanError(
    "INVALID_PROGRAM",
    all.length === 0
      ? "the object has no programs"
      : `the object has ${all.length} programs, and ${PROGRAMS_PER_LOAD_MAX} can be loaded at once`,
    {
      details: { programs: all.length },
      hint: all.length === 0 ? null : "name the programs to load, in as many commands as it takes",
    },
  );
}

/**
 * Matches each selector with a program of the object, in the order of the selectors. Throws FUNCTION_NOT_FOUND,
 * PROGRAM_TYPE_MISMATCH, INVALID_PROGRAM.
 */
export function selectPrograms(object: ObjectFile, selectors: readonly ProgramSelector[]): ProgramSpec[] {
  const named = new Set(selectors.map(({ name }) => name));
  const seen = new Set<string>();
  const all = withEvery(object, selectors);
  const wanted = all === selectors ? named : new Set(all.map(({ name }) => name));
  // If several static functions have this name, libbpf gets the first.
  const byName = new Map<string, ObjectProgram>();
  for (const program of object.programs)
    if (wanted.has(program.name) && !byName.has(program.name)) byName.set(program.name, program);
  return all.map((asked) => {
    if (seen.has(asked.name))
      throw namedTwice(asked.name, "name it once; one program can be attached to several hooks");
    seen.add(asked.name);
    const program = byName.get(asked.name);
    if (!program) {
      const names = [...new Set(object.programs.map(({ name }) => name))];
      throw new BpfmanError("FUNCTION_NOT_FOUND", `no program "${asked.name}" in the object`, {
        details: { program: asked.name, programs: names },
        hint:
          asked.name.toLowerCase() === EVERY_PROGRAM && names.length > 0
            ? `every program is "${EVERY_PROGRAM}", without a type and in small letters`
            : whatThereIs(asked.name, names, { there: "the object has", none: "the object has no programs" }),
      });
    }
    const isOneOfAll = !named.has(asked.name);
    const type = settleType(asked, program);
    requireAttachType(type, program);
    const attachFunction = settleFunction(type, asked, program, isOneOfAll);
    return Object.freeze({ name: asked.name, type, section: program.section, attachFunction });
  });
}
