import { needsAttachFunction, PROGRAM_TYPES, type ProgramSelector, type ProgramType } from "../../domain/program.ts";
import { BpfmanError } from "../../errors/error.ts";
import { parseWord } from "./word.ts";

const shapeOf = (type: ProgramType): string => (needsAttachFunction(type) ? `${type}:NAME:FUNCTION` : `${type}:NAME`);

/** A `--programs` value: TYPE:NAME, or TYPE:NAME:FUNCTION for fentry, fexit and lsm. Throws INVALID_PROGRAM. */
export function parseSelector(text: string): ProgramSelector {
  const [typeText = "", name, attachFunction, ...rest] = text.split(":");
  if (name === undefined) {
    throw new BpfmanError("INVALID_PROGRAM", `invalid program "${text}": must be TYPE:NAME, as in xdp:my_program`);
  }
  const type = parseWord(typeText, { what: "program type", words: PROGRAM_TYPES, code: "INVALID_PROGRAM" });
  const wrong = (why: string, hint?: string): BpfmanError =>
    new BpfmanError("INVALID_PROGRAM", `invalid program "${text}": ${why}`, hint === undefined ? {} : { hint });

  if (name === "") throw wrong(`the name is missing; must be ${shapeOf(type)}`);
  if (name.includes(",")) throw wrong("a name holds no comma", "separate several programs by blanks");
  if (needsAttachFunction(type)) {
    if (!attachFunction) throw wrong(`${type} needs the kernel function to attach to; must be ${shapeOf(type)}`);
  } else if (attachFunction !== undefined) {
    throw wrong(`${type} takes no function at load; must be ${shapeOf(type)}`);
  }
  if (rest.length > 0) throw wrong(`too many parts; must be ${shapeOf(type)}`);
  return { type, name, attachFunction: attachFunction ?? null };
}
