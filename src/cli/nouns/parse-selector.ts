import type { Metadata, ProgramSelector, ProgramType } from "../../domain/program.ts";
import { PROGRAM_TYPES } from "../../domain/program.ts";
import { parseSelector } from "../parse/selector.ts";
import { parseWord } from "../parse/word.ts";

/** The metadata key that says what a program really is, for tools that know no return probes. */
const actualTypeKey = (name: string): string => `bpfman.io/actual-type:${name}`;

const isReturnProbe = (type: ProgramType): boolean => type === "kretprobe" || type === "uretprobe";

/**
 * A `--programs` value. Asking for a return probe makes one, also of a section that does not say so; the metadata has the
 * last word on the type. Throws INVALID_PROGRAM.
 */
export function parseNounSelector(text: string, metadata: Metadata): ProgramSelector {
  const asked = parseSelector(
    text
      .split(":")
      .map((part) => part.trim())
      .join(":"),
  );
  const override = metadata[actualTypeKey(asked.name)];
  const actualType =
    override === undefined
      ? null
      : parseWord(override, { what: "actual program type", words: PROGRAM_TYPES, code: "INVALID_PROGRAM" });
  const settled = actualType ?? (isReturnProbe(asked.type) ? asked.type : null);
  return settled === null ? asked : { ...asked, actualType: settled };
}
