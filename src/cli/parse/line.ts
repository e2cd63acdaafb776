/** Finds the command that a command line names, and reports what is wrong with the line. */
import { BpfmanError } from "../../errors/error.ts";
import { didYouMean } from "../../errors/suggest.ts";
import {
  argumentUsage,
  childOf,
  type Command,
  type Field,
  flagUsage,
  type Group,
  isGroup,
  isNoun,
  type Node,
  otherwiseOf,
  pathOf,
  shownBelow,
  wordsOf,
  usageError,
} from "../command.ts";
import { GLOBALS, globalsBeside, VERSION } from "../globals.ts";
import type { Subject } from "../render/help.ts";
import { begun, type Dialect, looksLikeFlag, type Option, takeOption, type Tokens } from "./canonical.ts";
import type { Environment, Given } from "./values.ts";

/** How far a line was read: determines what help describes, whose usage an error shows, and what can be completed. */
export interface Trail {
  readonly tokens: Tokens;
  /** From the root to the last node whose name was read. */
  nodes: readonly Node[];
  /** The last node's command once it is loaded; null for a group, and for a command that is only named. */
  command: Command | null;
  /** The line belongs to the noun-verb grammar, by its commands or its words. */
  noun: boolean;
  readonly options: Option[];
  readonly words: string[];
  /** The option that takes the next word as a value. */
  awaiting: Field | null;
  /** There is an unknown word, after which nothing can be completed. */
  lost: boolean;
  /** What the line gives once all of it was read; null until then. */
  given: Given | null;
  /** What it lacks besides. */
  lacks: readonly Field[];
}

export const newTrail = (root: Group, args: readonly string[]): Trail => ({
  tokens: { all: args, next: 0, literal: false },
  nodes: [root],
  command: null,
  noun: false,
  options: [],
  words: [],
  awaiting: null,
  lost: false,
  given: null,
  lacks: [],
});

export type Route =
  /** The line names a command, has everything it requires, and nothing unknown. Values are not parsed yet. */
  | { readonly kind: "run"; readonly command: Command; readonly given: Given }
  | { readonly kind: "help"; readonly detail: "short" | "long" }
  /** A group without a command: its short help is printed as an error. */
  | { readonly kind: "incomplete" };

/** Parses a command line. `trail` records how far it got, even on errors. Throws USAGE. */
export async function route(trail: Trail, env: Environment): Promise<Route> {
  try {
    const command = await read(trail, null);
    const { nodes, words, options, noun } = trail;
    const help = options.find(isHelp);
    if (help !== undefined) return { kind: "help", detail: help.written === "-h" ? "short" : "long" };
    if (command === null) {
      if (words.length === 0 && !noun) return { kind: "incomplete" };
      throw usageError(`"${pathOf(nodes)}" needs a command: ${shownNames(nodes.at(-1) as Node).join(", ")}`);
    }
    trail.given = { places: wordsOf(nodes, command), words, options, noun, env };
    checkWhole(trail, command, trail.given);
    return { kind: "run", command, given: trail.given };
  } catch (error) {
    const option = oneDashed(trail);
    if (option === null || !(error instanceof BpfmanError)) throw error;
    throw error.with({ hint: `an option's long name has two dashes: "${option}"` });
  }
}

const isHelp = ({ field }: Option): boolean => field?.long === GLOBALS.help.long;

/** The options that are known where the line has got to. */
export function knownAt({ nodes, command }: Trail): readonly Field[] {
  const own = command?.flags ?? [];
  return [...own, ...globalsBeside(own, nodes.length === 1)];
}

/**
 * Returns `--path` for a typed `-path`, which means `-p` with a value; null if there is none before the point of
 * failure.
 */
function oneDashed(trail: Trail): string | null {
  const { all, next } = trail.tokens;
  const names = knownAt(trail).map((flag) => `--${flag.long}`);
  const typed = all.slice(0, next).map((token) => `-${token.split("=", 1)[0]}`);
  return typed.find((token) => names.includes(token)) ?? null;
}

/**
 * Walks the tree along a line, and returns the command at its end; null if it ends in a group or asks for help. Throws
 * USAGE. Of a line being typed, `typed` is what comes next, and what is wrong is passed over.
 */
export async function read(trail: Trail, typed: "word" | "option" | null): Promise<Command | null> {
  const { tokens, options, words } = trail;
  const isStrict = typed === null;
  const root = trail.nodes[0] as Group;
  let node: Node = root;
  while (isGroup(node)) {
    const here: Group = node;
    // An option that is not global belongs to the omitted default command.
    const word = nextWord(trail, isStrict, here.otherwise !== undefined);
    if (isStrict && options.some(isHelp)) return null;
    if (isStrict && root.version !== undefined && options.some(({ field }) => field === VERSION)) {
      if (word !== null) throw usageError(`"--version" takes no command, but got "${word}"`);
      node = root.version;
    } else if (word === null) {
      const meant = otherwiseOf(here);
      // A word that is being typed may still name a command.
      if (meant === null || (typed === "word" && tokens.next === tokens.all.length)) return null;
      node = meant;
    } else {
      // `bpfman load help file` means `bpfman help load file`.
      const wantsHelp = word === "help" && here !== root;
      if (wantsHelp) {
        words.splice(0, words.length, ...trail.nodes.slice(1).map((each) => each.name));
        trail.nodes = [root];
      }
      const child = childOf(wantsHelp ? root : here, word);
      if (child === null) words.push(word);
      const meant = child ?? (here.otherwise?.takesWord === true ? otherwiseOf(here) : null);
      if (meant === null) {
        trail.lost ||= words.length > (here.args?.length ?? 0);
        if (trail.lost && isStrict) throw unknownCommand(word, here, pathOf(trail.nodes));
        continue;
      }
      node = meant;
    }
    trail.nodes = [...trail.nodes, node];
    trail.noun = isNoun(trail.nodes);
  }

  const command = await node.load();
  trail.command = command;
  for (;;) {
    const word = nextWord(trail, isStrict, false);
    if (word === null) return command;
    words.push(word);
    trail.noun ||= command.args[0]?.grammar === "noun";
  }
}

/**
 * Returns the next word after reading the options before it; null at the end, once help is requested, and with `stop`
 * before an unknown option.
 */
function nextWord(trail: Trail, isStrict: boolean, stop: boolean): string | null {
  const { tokens, noun, options } = trail;
  let known: readonly Field[] | null = null;
  for (;;) {
    const token = tokens.all[tokens.next];
    if (token === undefined) return null;
    if (tokens.literal || token === "--" || !looksLikeFlag(token)) {
      tokens.next++;
      trail.awaiting = null;
      if (tokens.literal || token !== "--") return token;
      tokens.literal = true;
    } else {
      known ??= knownAt(trail);
      if (stop && begun(known, token) === null) return null;
      trail.awaiting = takeOption(tokens, { known, noun }, options);
      if (!isStrict) continue;
      checkOptions(options, { known, noun });
      if (options.some(isHelp)) return null;
    }
  }
}

/** Throws USAGE if options are unknown, repeated, or lack a value. */
function checkOptions(options: readonly Option[], { known, noun }: Dialect): void {
  for (const option of options) {
    const { field, written, value, attached } = option;
    if (field === null) {
      const names = known.map((flag) => `--${flag.long}`);
      throw usageError(`unknown option "${written}"`, written.startsWith("--") ? didYouMean(written, names) : null);
    }
    const once = field.takes === "nothing" || field.takes === "one";
    if (once && options.some((other) => other !== option && other.field?.long === field.long)) {
      throw usageError(`"${flagUsage(field)}" cannot be used multiple times`);
    }
    if (field.takes === "nothing") {
      const may = noun ? "takes true or false" : "takes no value";
      if (value !== null) throw usageError(`"--${field.long}" ${may}, but got "${value}"`);
    } else if (value === null || (value === "" && attached && !noun)) {
      throw usageError(`"${written}" needs a value: ${flagUsage(field)}`);
    } else if (value === "" && field.completes !== undefined && field.takes !== "commas" && !noun) {
      // Names are never empty, and an empty directory name would silently mean another directory.
      throw usageError(
        `"${written}" needs a value, but got an empty one: ${flagUsage(field)}`,
        "is a shell variable empty?",
      );
    }
  }
}

/** Throws USAGE if a word is left over or something required is missing. */
function checkWhole(trail: Trail, command: Command, { places, words, options }: Given): void {
  const extra = places.at(-1)?.takes === "list" ? undefined : words[places.length];
  if (extra !== undefined) throw unexpectedWord(extra, trail, command);
  const lackingWords = places.slice(words.length).filter((field) => field.required);
  const lackingOptions = command.flags.filter((flag) => flag.required && !isGiven(options, flag));
  const missing = [...lackingWords.map(argumentUsage), ...lackingOptions.map(flagUsage)];
  if (missing.length > 0) {
    trail.lacks = [...lackingWords, ...lackingOptions];
    const end = missing.pop();
    throw usageError(
      `"${pathOf(trail.nodes)}" needs ${missing.length === 0 ? end : `${missing.join(", ")} and ${end}`}`,
    );
  }
}

export const isGiven = (options: readonly Option[], flag: Field): boolean =>
  options.some(({ field }) => field?.long === flag.long);

/** Most superfluous words are meant for an option: explain how to write that. */
function unexpectedWord(word: string, { tokens, options }: Trail, { flags }: Command): BpfmanError {
  const at = tokens.all.indexOf(word);
  const before = tokens.all[at - 1] ?? "";
  const list = flags.find((flag) => flag.takes === "list" && before.startsWith(`--${flag.long}=`));
  const commas = flags.find((flag) => {
    if (flag.takes !== "commas" || !isGiven(options, flag)) return false;
    const isBehind = [`--${flag.long}`, `-${flag.short}`].includes(tokens.all[at - 2] ?? "");
    return isBehind || before.startsWith(`--${flag.long}=`) || word.includes("=");
  });
  const needed = flags.find((flag) => flag.required && !isGiven(options, flag) && couldBe(flag, word));
  let hint: string | null = null;
  if (list !== undefined) hint = `write several values without "=": --${list.long} FIRST SECOND`;
  else if (commas !== undefined) hint = `separate several values of --${commas.long} with commas, or repeat it`;
  else if (needed !== undefined) hint = `is it meant as an option? --${needed.long} ${word}`;
  return usageError(`unexpected argument "${word}"`, hint);
}

/** Reports whether a word may be a value of an option, according to the option's parser. */
function couldBe(flag: Field, word: string): boolean {
  try {
    flag.parse(word, "");
    return true;
  } catch {
    return false;
  }
}

const shownNames = (node: Node): string[] => shownBelow(node).map((child) => child.name);

function unknownCommand(word: string, group: Group, path: string): BpfmanError {
  const names = shownNames(group);
  return usageError(
    `unknown command "${word}" for "${path}"`,
    didYouMean(word, names) ?? `commands are ${names.join(", ")}`,
  );
}

/** Returns the node that a help topic names: `["attach", "tcx"]`. Throws USAGE for an unknown one. */
export async function topic(root: Group, words: readonly string[]): Promise<Subject> {
  const nodes: Node[] = [root];
  let node: Node = root;
  for (const word of words) {
    if (!isGroup(node)) throw usageError(`"${pathOf(nodes)}" has no command "${word}"`);
    const child = childOf(node, word);
    if (child === null) throw unknownCommand(word, node, pathOf(nodes));
    node = child;
    nodes.push(node);
  }
  return { nodes, command: isGroup(node) ? null : await node.load() };
}
