import type { Argument, Command, Session } from "../command.ts";
import { type Candidate, completeLine, type Completions } from "../complete.ts";
import { parseWord } from "../parse-word.ts";
import { printable } from "../printable.ts";
import { splitShellWords } from "../shell-words.ts";

/** How the words before the cursor are given: as words, or as a line that has yet to be taken apart. */
const FORMS = ["words", "line"] as const;

const FORM: Argument = { name: "form", choices: FORMS, doc: ["Required: words or line."] };
const WORDS: Argument = {
  name: "words",
  many: true,
  optional: true,
  doc: ["Behind --: the command line up to the cursor, or its words with the one at the cursor last."],
};

/** What a shell's completion function asks. It must not fail, nor say anything but candidates. */
export const complete: Command = {
  description: [
    "Answers what may stand at the cursor of a command line. The first line says how to go on:",
    "`words`, `files` or `directories`, with `open` behind it when no blank is to follow, and",
    "then, behind a tab, what stands before the file name in the same word. Each further line",
    "is a candidate and, behind a tab, its description.",
  ],
  args: [FORM, WORDS],
  flags: [],
  examples: [{ does: "What may follow", line: "bpfman __complete words -- attach 5 xdp --" }],
  prepare(line) {
    const form = parseWord(line.word(FORM), { what: "form", words: FORMS, code: "USAGE" });
    const given = line.words(WORDS);
    const words = form === "line" ? splitShellWords(given[0] ?? "").slice(1) : given;
    return async (session) => session.write(await answer(session, words));
  },
};

async function answer(session: Session, words: readonly string[]): Promise<string> {
  const found = await completeLine(session.tree, words.slice(0, -1), words.at(-1) ?? "");
  const candidates = [...found.candidates, ...(await liveValues(session, found))];
  const kind = found.paths?.kind ?? "words";
  const first = `${kind}${found.open ? " open" : ""}\t${found.paths?.before ?? ""}`;
  const lines = candidates.map(({ value, description }) => `${printable(value)}\t${printable(description)}`);
  return `${[first, ...lines].join("\n")}\n`;
}

/** Whatever cannot be asked has no values: nobody wants an error in the middle of a line. */
async function liveValues(session: Session, { live }: Completions): Promise<Candidate[]> {
  if (live === null) return [];
  const { what, prefix, before, netns, file } = live;
  try {
    const { values } = await session.invoke("complete", { what, prefix, netns, file });
    return values.map(({ value, description }) => ({ value: before + value, description }));
  } catch {
    return [];
  }
}
