/** Determines the candidates at the cursor from the command tree. Without effects, except that it loads commands. */
import type { LiveValue } from "../../domain/completion.ts";
import { PLATFORMS } from "../../domain/bytecode-slot.ts";
import { ATTACH_KINDS, type AttachKind, PROGRAM_TYPES } from "../../domain/kinds.ts";
import {
  childOf,
  type Completion,
  type Field,
  type Group,
  isGroup,
  type Node,
  shownBelow,
  wordsOf,
} from "../command.ts";
import { begun, type Option } from "../parse/canonical.ts";
import { isGiven, knownAt, newTrail, read, type Trail } from "../parse/line.ts";
import { givenFor } from "../parse/values.ts";
import { firstSentence } from "../render/help.ts";

export interface Candidate {
  readonly value: string;
  readonly description: string;
}

/** A request for live values from the service. `before` is prepended to each to form the whole word. */
export interface LiveWanted {
  readonly what: LiveValue;
  readonly prefix: string;
  readonly before: string;
  readonly netns: string | null;
  readonly file: string | null;
  readonly programId: number | string | null;
  readonly attachKind: AttachKind | null;
  /** The values only filter the candidates; they are not candidates themselves. */
  readonly narrows: boolean;
}

export interface Completions {
  readonly candidates: readonly Candidate[];
  readonly live: LiveWanted | null;
  /** File or directory names, completed by the shell; `before` precedes them in the same word. */
  readonly paths: { readonly kind: "files" | "directories"; readonly before: string } | null;
  /** No space must follow, because the value is incomplete. */
  readonly open: boolean;
  /** The options on the command line. */
  readonly options: readonly Option[];
}

const NOTHING: Completions = { candidates: [], live: null, paths: null, open: false, options: [] };

/** A line as read up to the cursor. */
interface Cursor extends Trail {
  /** The fields for its words. */
  readonly places: readonly Field[];
  /** All of the line: what is behind the cursor is no longer missing, and may determine where values come from. */
  readonly whole: Trail;
}

/** A command line being typed. */
export interface TypedLine {
  readonly words: readonly string[];
  /** The number of words up to the cursor, with the one that ends there. */
  readonly at: number;
}

export async function completeLine(root: Group, { words, at }: TypedLine): Promise<Completions> {
  const [before, current = ""] = [words.slice(0, Math.max(at - 1, 0)), words[at - 1]];
  // A line that ends in a space has an empty last word.
  const behind = words.slice(at, words.at(-1) === "" ? -1 : undefined);
  const isOption = current.startsWith("-");
  const typed = isOption ? "option" : "word";
  const trail = newTrail(root, before);
  await read(trail, typed);
  if (trail.lost) return NOTHING;
  const whole = newTrail(root, [...before, ...(isOption || behind.length === 0 ? [] : [current]), ...behind]);
  await read(whole, typed);
  const cursor = { ...trail, places: wordsOf(trail.nodes, trail.command), whole };
  return { ...atCursor(cursor, current), options: whole.options };
}

function atCursor(cursor: Cursor, current: string): Completions {
  if (current.startsWith("-") && !cursor.tokens.literal) return optionsAt(cursor, current);
  return cursor.awaiting === null ? wordsAt(cursor, current) : valuesOf(cursor.awaiting, current, cursor);
}

const bare = (words: readonly string[], before: string): Candidate[] =>
  words.map((word) => ({ value: before + word, description: "" }));

const named = (nodes: readonly Node[], prefix: string): Candidate[] =>
  beginning(
    nodes.map(({ name, summary }) => ({ value: name, description: summary })),
    prefix,
  );

const beginning = (candidates: readonly Candidate[], current: string): Candidate[] =>
  candidates.filter(({ value }) => value.startsWith(current));

function wordsAt(cursor: Cursor, current: string): Completions {
  const { nodes, places, words } = cursor;
  const node = nodes.at(-1) as Node;
  const last = places.at(-1);
  // `attach ID kind`: the ID comes first. The last place may take several words.
  const place = places[words.length] ?? (last?.takes === "list" ? last : undefined);
  if (place !== undefined) return valuesOf(place, current, cursor);
  // Only options can follow a command: show them without waiting for a dash.
  if (!isGroup(node)) return current === "" ? optionsAt(cursor, "") : NOTHING;
  const live = node.completes === undefined ? null : wanted(node.completes, cursor, { prefix: current, narrows: true });
  return { ...NOTHING, live, candidates: named(shownBelow(node), current) };
}

/** Returns the options that can still be given, required ones first. */
function optionsAt(cursor: Cursor, current: string): Completions {
  const known = knownAt(cursor);
  // An option with its value in one word: `--iface=e`, `-i=e`, `-ie`.
  const before = /^(--[^=]+=|-[^-](=|(?=.)))/.exec(current)?.[0];
  if (before !== undefined) {
    const flag = begun(known, before);
    if (flag === null || flag.takes === "nothing") return NOTHING;
    return valuesOf(flag, current.slice(before.length), cursor, before);
  }
  const { options } = cursor.whole;
  const isOpen = (flag: Field): boolean => ["list", "commas", "each"].includes(flag.takes) || !isGiven(options, flag);
  // Those that are missing first, help last.
  const rank = (flag: Field): number => (flag.long === "help" ? 2 : Number(!flag.required || isGiven(options, flag)));
  const candidates = known
    .filter(isOpen)
    .toSorted((one, other) => rank(one) - rank(other))
    .map((flag) => ({ value: `--${flag.long}`, description: firstSentence(flag.doc) }));
  return { ...NOTHING, candidates: beginning(candidates, current) };
}

/** Completes a value. `opening` is the part of the word before it, as `--iface=`. */
function valuesOf(what: Field, current: string, cursor: Cursor, opening = ""): Completions {
  // In a comma-separated list, the last value is completed.
  const comma = what.takes === "commas" ? current.lastIndexOf(",") + 1 : 0;
  const before = opening + current.slice(0, comma);
  const prefix = current.slice(comma);
  if (what.choices !== undefined) {
    const there = new Set(current.slice(0, comma).split(","));
    const words = what.choices.filter((word) => word.startsWith(prefix) && !there.has(word));
    if (words.length > 0 || what.completes === undefined) return { ...NOTHING, candidates: bare(words, before) };
  }
  const { completes } = what;
  switch (completes) {
    case undefined:
      return NOTHING;
    case "command":
      return commandsBelow(cursor, prefix);
    case "directory":
      return { ...NOTHING, paths: { kind: "directories", before } };
    case "platform-file":
      return platformOrFile(before, prefix);
    case "file":
    case "object":
    case "target":
      return { ...NOTHING, paths: { kind: "files", before } };
    default: {
      const live = wanted(completes, cursor, { prefix, before });
      const open = completes === "object-global" || completes === "object-map";
      return { ...NOTHING, live, open, candidates: typesFor(live) };
    }
  }
}

/** The field that names the file, or the buffer, in which values are looked for. */
const FILE_OF: Readonly<Partial<Record<LiveValue, Completion>>> = {
  "target-function": "target",
  "event-type": "event-source",
};

/** Creates a request for live values, narrowed by what the command line already contains. */
function wanted(
  what: LiveValue,
  { nodes, places, whole }: Cursor,
  asked: Pick<LiveWanted, "prefix"> & Partial<LiveWanted>,
): LiveWanted {
  const line = { ...whole, places };
  return {
    what,
    before: "",
    narrows: false,
    netns: givenFor(line, "netns"),
    file: givenFor(line, FILE_OF[what] ?? "object"),
    programId: givenFor(line, "program-id"),
    // Attach commands are named after what they attach to.
    attachKind: ATTACH_KINDS.find((kind) => kind === nodes.at(-1)?.name) ?? null,
    ...asked,
  };
}

/** Completes `FILE` or `linux/amd64=FILE`. */
function platformOrFile(before: string, prefix: string): Completions {
  const end = prefix.indexOf("=") + 1;
  const platforms = end > 0 || !prefix.startsWith("linux/") ? [] : PLATFORMS.map((platform) => `${platform}=`);
  const fitting = platforms.filter((word) => word.startsWith(prefix));
  if (fitting.length === 0) return { ...NOTHING, paths: { kind: "files", before: before + prefix.slice(0, end) } };
  return { ...NOTHING, open: true, candidates: bare(fitting, before) };
}

/** Without an object to read, only the types of programs can be completed. */
function typesFor({ what, prefix, before, file }: LiveWanted): Candidate[] {
  if (what !== "object-program" || file !== null) return [];
  return bare(
    PROGRAM_TYPES.map((type) => `${type}:`).filter((word) => word.startsWith(prefix)),
    before,
  );
}

/** `help attach <TAB>`: the words so far name a group. */
function commandsBelow({ nodes, words }: Cursor, prefix: string): Completions {
  let group = nodes[0] ?? null;
  for (const word of words) group = group !== null && isGroup(group) ? childOf(group, word) : null;
  if (group === null || !isGroup(group)) return NOTHING;
  return { ...NOTHING, candidates: named(group.children, prefix) };
}
