/** Determines the candidates at the cursor from the command tree. Without effects, except that it loads commands. */
import type { LiveValue } from "../../domain/completion.ts";
import { PLATFORMS } from "../../domain/bytecode-slot.ts";
import { ATTACH_KINDS, type AttachKind, PROGRAM_TYPES } from "../../domain/kinds.ts";
import {
  childOf,
  type Command,
  type Completion,
  type Field,
  type Group,
  isGroup,
  type Node,
  otherwiseOf,
  shownBelow,
} from "../command.ts";
import { globalsBeside, HELP, VERSION } from "../globals.ts";
import { firstSentence } from "../render/help.ts";
import { looksLikeFlag } from "../parse/canonical.ts";

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
  readonly programId: number | null;
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
  /** Values of the options on the command line, by long name; the last one of each. */
  readonly given: ReadonlyMap<string, string>;
}

const NOTHING: Completions = { candidates: [], live: null, paths: null, open: false, given: new Map() };

/** How far a command line has been read. */
interface Cursor {
  readonly root: Group;
  node: Node;
  command: Command | null;
  /** Fields for words so far, and the words given for them. */
  slots: readonly Field[];
  words: readonly string[];
  /** All words on the line, including those after the cursor. */
  allWords: readonly string[];
  /** The option whose value comes next. */
  pending: Field | null;
  /** Values by long name. */
  given: Map<string, string[]>;
  literal: boolean;
  /** There are unknown words, after which nothing can be completed. */
  lost: boolean;
}

/** A command line being typed. */
export interface TypedLine {
  /** Complete words before the cursor. */
  readonly before: readonly string[];
  /** The part of the current word before the cursor. */
  readonly current: string;
  /** Complete words after the cursor. */
  readonly behind: readonly string[];
}

export async function completeLine(root: Group, { before, current, behind }: TypedLine): Promise<Completions> {
  const cursor: Cursor = {
    root,
    node: root,
    command: null,
    slots: [],
    words: [],
    allWords: [],
    pending: null,
    given: new Map(),
    literal: false,
    lost: false,
  };
  for (const word of before) await step(cursor, word);
  if (cursor.lost) return NOTHING;
  await lookBehind(cursor, current, behind);
  const given = new Map([...cursor.given].flatMap(([name, values]) => values.slice(-1).map((value) => [name, value])));
  return { ...(await atCursor(cursor, current)), given };
}

/**
 * Reads the words after the cursor: they are no longer missing, and may determine where values come from (a namespace,
 * an object).
 */
async function lookBehind(cursor: Cursor, current: string, behind: readonly string[]): Promise<void> {
  const ahead: Cursor = { ...cursor, given: new Map(cursor.given) };
  const inBetween = current.startsWith("-") ? [] : [current];
  for (const word of behind.length === 0 ? [] : [...inBetween, ...behind]) await step(ahead, word);
  cursor.allWords = ahead.words;
  cursor.given = ahead.given;
}

async function atCursor(cursor: Cursor, current: string): Promise<Completions> {
  const { pending } = cursor;
  const isOption = !cursor.literal && current.startsWith("-");
  if (pending !== null && !isOption) return valuesOf(pending, current, cursor);
  if (isOption) {
    if (isGroup(cursor.node)) await descend(cursor, otherwiseOf(cursor.node));
    return optionsAt(cursor, current);
  }
  return wordsAt(cursor, current);
}

async function step(cursor: Cursor, word: string): Promise<void> {
  if (!cursor.literal && word === "--") {
    cursor.literal = true;
    cursor.pending = null;
  } else if (!cursor.literal && looksLikeFlag(word)) {
    await option(cursor, word);
  } else if (cursor.pending !== null) {
    remember(cursor, cursor.pending, word);
    if (cursor.pending.takes !== "list") cursor.pending = null;
  } else {
    await place(cursor, word);
  }
}

function remember(cursor: Cursor, flag: Field, value: string): void {
  cursor.given.set(flag.long, [...(cursor.given.get(flag.long) ?? []), value]);
}

async function option(cursor: Cursor, word: string): Promise<void> {
  const [written = "", ...rest] = word.split("=");
  const isLong = written.startsWith("--");
  const find = (): Field | undefined => optionIn(knownAt(cursor), word, written);
  // An option that the group does not have may belong to its default command.
  if (find() === undefined && isGroup(cursor.node)) await descend(cursor, otherwiseOf(cursor.node));
  const flag = find();
  cursor.pending = null;
  if (flag === undefined) return;
  const attached = isLong ? rest.length > 0 : word.length > 2;
  if (flag.takes === "nothing" || attached) remember(cursor, flag, isLong ? rest.join("=") : word.slice(2));
  else {
    cursor.pending = flag;
    if (!cursor.given.has(flag.long)) cursor.given.set(flag.long, []);
  }
}

async function place(cursor: Cursor, word: string): Promise<void> {
  const { node } = cursor;
  if (isGroup(node)) {
    const child = childOf(node, word);
    if (child !== null) return descend(cursor, child);
    if (cursor.words.length >= cursor.slots.length) {
      if (node.otherwise?.takesWord === true) await descend(cursor, otherwiseOf(node));
      else cursor.lost = true;
    }
  }
  cursor.words = [...cursor.words, word];
}

async function descend(cursor: Cursor, node: Node | null): Promise<void> {
  if (node === null) return;
  cursor.node = node;
  if (isGroup(node)) cursor.slots = [...cursor.slots, ...(node.args ?? [])];
  else {
    cursor.command = await node.load();
    cursor.slots = [...cursor.slots, ...cursor.command.args];
  }
}

/** Returns the option of a word: a long one by its name before `=`, else by its first letter. */
const optionIn = (known: readonly Field[], word: string, long: string): Field | undefined =>
  known.find((each) => (word.startsWith("--") ? `--${each.long}` === long : each.short === word[1]));

function knownAt({ root, node, command }: Cursor): readonly Field[] {
  const own = command?.flags ?? [];
  return [...own, ...globalsBeside(own), ...(node === root ? [VERSION] : [])];
}

/** Returns the field for the next word; the last one if it takes several. */
function slotAt({ slots, words }: Cursor): Field | null {
  const last = slots.at(-1);
  return slots[words.length] ?? (last?.takes === "list" ? last : null);
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
  const { node } = cursor;
  const slot = slotAt(cursor);
  // `attach ID kind`: the ID comes first.
  if (slot !== null) return valuesOf(slot, current, cursor);
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
    const flag = optionIn(known, before, before.slice(0, -1));
    if (flag === undefined || flag.takes === "nothing") return NOTHING;
    return valuesOf(flag, current.slice(before.length), cursor, before);
  }
  const isOpen = (flag: Field): boolean =>
    flag.takes === "list" || flag.takes === "commas" || !cursor.given.has(flag.long);
  const missing = (flag: Field): boolean => flag.required === true && !cursor.given.has(flag.long);
  const sorted = [...known.filter(missing), ...known.filter((flag) => !missing(flag) && flag.long !== HELP.long), HELP];
  const candidates = sorted
    .filter(isOpen)
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

/** Creates a request for live values, narrowed by what the command line already contains. */
function wanted(what: LiveValue, cursor: Cursor, asked: Pick<LiveWanted, "prefix"> & Partial<LiveWanted>): LiveWanted {
  return {
    what,
    before: "",
    narrows: false,
    netns: lastGiven(cursor, "netns"),
    file: lastGiven(cursor, what === "target-function" ? "target" : "object"),
    programId: Number(lastGiven(cursor, "program-id")) || null,
    // Attach commands are named after what they attach to.
    attachKind: ATTACH_KINDS.find((kind) => kind === cursor.node.name) ?? null,
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
function commandsBelow({ root, words }: Cursor, prefix: string): Completions {
  let group: Node | null = root;
  for (const word of words) group = group !== null && isGroup(group) ? childOf(group, word) : null;
  if (group === null || !isGroup(group)) return NOTHING;
  return { ...NOTHING, candidates: named(group.children, prefix) };
}

/** Returns the last value of the field with that completion, given as an option or as a word. */
function lastGiven({ command, given, slots, allWords }: Cursor, completes: Completion): string | null {
  const flag = command?.flags.find((each) => each.completes === completes);
  if (flag !== undefined) return given.get(flag.long)?.at(-1) || null;
  const at = slots.findIndex((slot) => slot.completes === completes);
  return allWords[at] || null;
}
