import { defineCommand, optional, required, several, type Session } from "../command.ts";
import { type Candidate, completeLine, type Completions, type TypedLine } from "./cursor.ts";
import { GLOBALS } from "../globals.ts";
import type { Option } from "../parse/canonical.ts";
import { oneOf } from "../parse/word.ts";
import type { Settings } from "../../domain/settings.ts";
import { printable } from "../../domain/printable.ts";

/** How the command line is passed: as words, or as text to be split. */
const FORMS = ["words", "line"] as const;

/** Called by the shells' completion functions. It must not fail, or print anything but candidates. */
export const complete = defineCommand(() => ({
  description: [
    "Lists what may stand at the cursor of a command line. The first line says what",
    "to complete: `words`, `files` or `directories`, followed by `open` if no space",
    "is to be added, then a tab and what precedes the file name in the same word.",
    "Each further line is a candidate, a tab, and its description.",
  ],
  fields: {
    form: required(
      { long: "form", choices: FORMS, doc: ["Form of the command line: words or line."] },
      oneOf("form", FORMS),
    ),
    words: several({
      takes: "list",
      long: "words",
      doc: ["After --: the line up to the cursor and, if any, the rest of it;", "or its words without the first."],
    }),
    at: optional(
      { long: "at", metavar: "N", doc: ["The cursor is at the end of the Nth word; by default, of the last."] },
      Number,
    ),
  },
  classic: {
    words: ["form", "words"],
    examples: { "List what may follow": "bpfman __complete words -- attach 5 xdp --" },
  },
  prepare({ form, words, at }) {
    const typed = form === "line" ? splitLine(words) : { words, at: at ?? words.length };
    return async (session) => session.write(await answer(session, typed));
  },
}));

/**
 * Splits the start of a command line into words like a shell: removes quotes and backslashes, but leaves variables and
 * substitutions as they are. The last word may be incomplete; it is empty if the line ends between words.
 */
export function splitShellWords(line: string): string[] {
  const words: string[] = [];
  let word = "";
  let quote: '"' | "'" | null = null;
  for (let at = 0; at < line.length; at++) {
    const character = line[at] as string;
    const next = line[at + 1];
    if (quote !== null && character === quote) quote = null;
    else if (quote === "'") word += character;
    else if (character === "\\" && next !== undefined && (quote === null || '"\\$`'.includes(next))) {
      word += next;
      at++;
    } else if (quote === '"') word += character;
    else if (character === '"' || character === "'") quote = character;
    else if (/\s/.test(character)) {
      if (word !== "" || (at > 0 && !/\s/.test(line[at - 1] as string))) words.push(word);
      word = "";
    } else word += character;
  }
  return [...words, word];
}

/** Splits a line, given as its parts before and after the cursor. */
function splitLine([before = "", behind = ""]: readonly string[]): TypedLine {
  const words = splitShellWords(before).slice(1);
  // The rest of the word at the cursor does not count.
  return { words: [...words, ...splitShellWords(behind.replace(/^\S+/, ""))], at: words.length };
}

async function answer(session: Session, typed: TypedLine): Promise<string> {
  const found = await completeLine(session.tree, typed);
  session.moveTo(placesIn(found.options));
  const values = await liveValues(session, found);
  const fits = ({ value }: Candidate): boolean => values.some((each) => each.value === value);
  const narrowed = found.candidates.some(fits) ? found.candidates.filter(fits) : found.candidates;
  const candidates = found.live?.narrows === true ? narrowed : [...found.candidates, ...values];
  const kind = found.paths?.kind ?? "words";
  const first = `${kind}${found.open ? " open" : ""}\t${found.paths?.before ?? ""}`;
  const lines = candidates.map(({ value, description }) => `${printable(value)}\t${printable(description)}`);
  return `${[first, ...lines].join("\n")}\n`;
}

/** Extracts the directories where live values are found. */
function placesIn(options: readonly Option[]): Partial<Settings> {
  const { runtimeDir, stateDir, cacheDir, configFile } = GLOBALS;
  const places = Object.entries({ runtimeDir, stateDir, cacheDir, configFile }).flatMap(([name, { long }]) => {
    const value = options.findLast(({ field }) => field?.long === long)?.value;
    return value ? [[name, atHome(value)]] : [];
  });
  return Object.fromEntries(places);
}

/** Expands `~`: shells pass words as they were typed. */
function atHome(path: string): string {
  if (!/^~(\/|$)/.test(path)) return path;
  const { homedir } = require("node:os") as typeof import("node:os");
  return homedir() + path.slice(1);
}

/** Returns no values if they cannot be determined: an error in the middle of typing helps nobody. */
async function liveValues(session: Session, { live }: Completions): Promise<Candidate[]> {
  if (live === null) return [];
  const { before, narrows: _, netns, file, ...rest } = live;
  try {
    const request = { ...rest, netns: netns && atHome(netns), file: file && atHome(file) };
    const { values } = await session.invoke("complete", request);
    return values.map(({ value, description }) => ({ value: before + value, description }));
  } catch {
    return [];
  }
}
