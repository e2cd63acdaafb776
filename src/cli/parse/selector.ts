import { KINDS, PROGRAM_TYPES, type ProgramType } from "../../domain/kinds.ts";
import type { Metadata, ProgramSelector } from "../../domain/program.ts";
import { BpfmanError } from "../../errors/error.ts";
import { oneOf } from "./word.ts";

const shapeOf = (type: ProgramType): string => (KINDS[type].needsFunction ? `${type}:NAME:FUNCTION` : `${type}:NAME`);

/** Parses a `--programs` value: TYPE:NAME, or TYPE:NAME:FUNCTION for fentry, fexit and lsm. Throws INVALID_PROGRAM. */
export function parseSelector(text: string): ProgramSelector {
  const [typeText = "", name, attachFunction, ...rest] = text.split(":");
  if (name === undefined) {
    throw new BpfmanError("INVALID_PROGRAM", `invalid program "${text}": must be TYPE:NAME, as in xdp:my_program`);
  }
  const type = oneOf("program type", PROGRAM_TYPES, "INVALID_PROGRAM")(typeText);
  const wrong = (why: string, hint: string | null = null): BpfmanError =>
    new BpfmanError("INVALID_PROGRAM", `invalid program "${text}": ${why}`, { hint });

  if (name === "") throw wrong(`the name is missing; must be ${shapeOf(type)}`);
  if (name.includes(",")) throw wrong("a name cannot contain a comma", "separate several programs with spaces");
  if (KINDS[type].needsFunction) {
    if (!attachFunction) throw wrong(`${type} needs the kernel function to attach to; must be ${shapeOf(type)}`);
  } else if (attachFunction !== undefined) {
    throw wrong(`${type} takes no function at load; must be ${shapeOf(type)}`);
  }
  if (rest.length > 0) throw wrong(`too many parts; must be ${shapeOf(type)}`);
  return { type, name, attachFunction: attachFunction ?? null };
}

/** In the noun-verb grammar, spaces around the parts are ignored. */
export const parseNounSelector = (text: string): ProgramSelector =>
  parseSelector(
    text
      .split(":")
      .map((part) => part.trim())
      .join(":"),
  );

/** The metadata key with a program's actual type, for tools that do not know return probes. */
const actualTypeKey = (name: string): string => `bpfman.io/actual-type:${name}`;

const isReturnProbe = (type: ProgramType): boolean => type === "kretprobe" || type === "uretprobe";

/**
 * Settles a selector's type for the noun-verb grammar. Requesting a return probe creates one even if the section does
 * not say so; the metadata override everything. Throws INVALID_PROGRAM.
 */
export function settleType(asked: ProgramSelector, metadata: Metadata): ProgramSelector {
  const override = metadata[actualTypeKey(asked.name)];
  const actualType =
    override === undefined ? null : oneOf("actual program type", PROGRAM_TYPES, "INVALID_PROGRAM")(override);
  const settled = actualType ?? (isReturnProbe(asked.type) ? asked.type : null);
  return settled === null ? asked : { ...asked, actualType: settled };
}
