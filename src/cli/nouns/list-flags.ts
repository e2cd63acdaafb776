/** Options that the lists of the noun-verb grammar have in common. */
import type { Flag, Line, Session } from "../command.ts";
import { parseProgramType, PROGRAM_TYPE_FILTER_WORDS } from "../parse/program-type.ts";

export const QUIET: Flag = {
  long: "quiet",
  short: "q",
  takes: "nothing",
  doc: ["Optional: Print ids alone, one a line."],
};
export const PROGRAM_TYPE: Flag = {
  long: "program-type",
  short: "p",
  takes: "commas",
  choices: PROGRAM_TYPE_FILTER_WORDS,
  doc: [
    "Optional: Only programs of these types, and links of such programs.",
    "The kernel's words (probe, tracing, ext, ...) work as well.",
    "Example: --program-type xdp,kprobe",
  ],
};
export const APPLICATION: Flag = {
  long: "application",
  takes: "one",
  doc: ["Optional: Only what belongs to this application."],
};
export const METADATA_SELECTOR: Flag = {
  long: "metadata-selector",
  short: "m",
  takes: "commas",
  doc: ["Optional: Only what has this metadata; all pairs must match.", "Format: <KEY>=<VALUE>"],
};

/** The words of options that take types, in any letter case. */
export const readTypes = (line: Line, ...flags: readonly Flag[]): string[] =>
  flags.flatMap((flag) => line.values(flag)).map((word) => parseProgramType(word.trim().toLowerCase()) ?? word);

/** Prints a list: ids when they alone are wanted, nothing when an empty list is shown as text. */
export function printList<Answer>(
  session: Session,
  answer: Answer,
  how: { quiet: boolean; ids: readonly number[]; text(answer: Answer, styled: boolean): string },
): void {
  if (how.quiet) session.write(how.ids.map((id) => `${id}\n`).join(""));
  else session.print(answer, (given, styled) => (how.ids.length === 0 ? "" : how.text(given, styled)));
}
