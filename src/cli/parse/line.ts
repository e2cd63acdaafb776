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
} from "../command.ts";
import { HELP_LEAF, ROOT, VERSION_LINE_LEAF } from "../commands.ts";
import { globalsBeside, HELP, VERSION } from "../globals.ts";
import { type Dialect, looksLikeFlag, named, type Option, takeOption, type Tokens } from "./canonical.ts";
import type { Environment, Given } from "./values.ts";

/** How far parsing got: determines what help describes and whose usage an error shows. */
export interface Trail {
  /** From the root to the last node whose name was read. */
  nodes: readonly Node[];
  /** The last node's command once it is loaded; null for a group, and for a command that is only named. */
  command: Command | null;
  /** The line belongs to the noun-verb grammar, by its commands or its words. */
  noun: boolean;
  /** What the line gives once all of it was read; null until then. */
  given: Given | null;
  /** What it lacks besides. */
  lacks: readonly Field[];
}

export const newTrail = (): Trail => ({ nodes: [ROOT], command: null, noun: false, given: null, lacks: [] });

export type Route =
  /** The line names a command, has everything it requires, and nothing unknown. Values are not parsed yet. */
  | { readonly kind: "run"; readonly command: Command; readonly given: Given }
  | { readonly kind: "help"; readonly detail: "short" | "long" }
  /** A group without a command: its short help is printed as an error. */
  | { readonly kind: "incomplete" };

/** What has been read of a line. */
interface Reading {
  readonly tokens: Tokens;
  readonly trail: Trail;
  readonly options: Option[];
  readonly words: string[];
}

/** Parses a command line. `trail` records how far it got, even on errors. Throws USAGE. */
export async function route(
  { args, env }: { args: readonly string[]; env: Environment },
  trail: Trail,
): Promise<Route> {
  const reading: Reading = { tokens: { all: args, next: 0, literal: false }, trail, options: [], words: [] };
  try {
    return await readLine(reading, env);
  } catch (error) {
    const option = oneDashed(reading);
    if (option === null || !(error instanceof BpfmanError)) throw error;
    throw error.with({ hint: `an option's long name has two dashes: "${option}"` });
  }
}

/**
 * Returns `--path` for a typed `-path`, which means `-p` with a value; null if there is none before the point of
 * failure.
 */
function oneDashed({ tokens, trail }: Reading): string | null {
  const own = trail.command?.flags ?? [];
  const names = [...own, ...globalsBeside(own)].map((flag) => `--${flag.long}`);
  const typed = tokens.all.slice(0, tokens.next).map((token) => `-${token.split("=", 1)[0]}`);
  return typed.find((token) => names.includes(token)) ?? null;
}

async function readLine(reading: Reading, env: Environment): Promise<Route> {
  const { options, words, trail } = reading;
  let node: Node = ROOT;
  while (isGroup(node)) {
    const here: Group = node;
    const known = here === ROOT ? [...globalsBeside([]), VERSION] : globalsBeside([]);
    // An option that is not global belongs to the omitted default command.
    const word = nextWord(reading, known, here.otherwise !== undefined);
    const help = askedHelp(options);
    if (help !== null) return help;
    if (options.some(({ field }) => field === VERSION)) {
      if (word !== null) throw usage(`"--version" takes no command, but got "${word}"`);
      node = VERSION_LINE_LEAF;
    } else if (word === null) {
      const meant = otherwiseOf(here);
      if (meant === null && words.length === 0 && !trail.noun) return { kind: "incomplete" };
      if (meant === null) throw usage(`"${pathOf(trail.nodes)}" needs a command: ${shownNames(here).join(", ")}`);
      node = meant;
    } else if (word === "help" && here !== ROOT) {
      // `bpfman load help file` means `bpfman help load file`.
      words.splice(0, words.length, ...trail.nodes.slice(1).map((each) => each.name));
      node = HELP_LEAF;
      trail.nodes = [ROOT];
    } else {
      const child = childOf(here, word);
      if (child === null && words.length < (here.args?.length ?? 0)) {
        words.push(word);
        continue;
      }
      const meant = child === null && here.otherwise?.takesWord === true ? otherwiseOf(here) : null;
      if (meant !== null) words.push(word);
      node = child ?? meant ?? here;
      if (node === here) throw unknownCommand(word, here, pathOf(trail.nodes));
    }
    trail.nodes = [...trail.nodes, node];
    trail.noun = isNoun(trail.nodes);
  }

  const command = await node.load();
  trail.command = command;
  const known = [...command.flags, ...globalsBeside(command.flags)];
  for (;;) {
    const word = nextWord(reading, known, false);
    const help = askedHelp(options);
    if (help !== null) return help;
    if (word === null) break;
    words.push(word);
    trail.noun ||= command.args[0]?.grammar === "noun";
  }
  const given = { places: wordsOf(trail.nodes, command), words, options, noun: trail.noun, env };
  trail.given = given;
  checkWhole(reading, command, given);
  return { kind: "run", command, given };
}

/**
 * Returns the next word after reading the options before it; null at the end, once help is requested, and with `stop`
 * before an unknown option.
 */
function nextWord({ tokens, trail, options }: Reading, known: readonly Field[], stop: boolean): string | null {
  for (;;) {
    const token = tokens.all[tokens.next];
    if (token === undefined) return null;
    if (!tokens.literal && token === "--") {
      tokens.literal = true;
      tokens.next++;
    } else if (!tokens.literal && looksLikeFlag(token)) {
      if (stop && named(known, token.startsWith("--") ? (token.split("=", 1)[0] ?? "") : token.slice(0, 2)) === null) {
        return null;
      }
      const before = [...options];
      takeOption(tokens, { known, noun: trail.noun }, options);
      checkOptions(options, before, { known, noun: trail.noun });
      if (askedHelp(options) !== null) return null;
    } else {
      tokens.next++;
      return token;
    }
  }
}

function askedHelp(options: readonly Option[]): Route | null {
  const form = options.find(({ field }) => field?.long === HELP.long)?.written;
  if (form === undefined) return null;
  return { kind: "help", detail: form === "-h" ? "short" : "long" };
}

/** Throws USAGE if the options just read are unknown, repeated, or lack a value. */
function checkOptions(options: readonly Option[], before: readonly Option[], { known, noun }: Dialect): void {
  for (const option of options) {
    if (before.includes(option)) continue;
    const { field, written, value, attached } = option;
    if (field === null) {
      const names = known.map((flag) => `--${flag.long}`);
      throw usage(`unknown option "${written}"`, written.startsWith("--") ? didYouMean(written, names) : null);
    }
    const once = field.takes === "nothing" || field.takes === "one";
    if (once && options.some((other) => other !== option && other.field?.long === field.long)) {
      throw usage(`"${flagUsage(field)}" cannot be used multiple times`);
    }
    if (field.takes === "nothing") {
      const may = noun ? "takes true or false" : "takes no value";
      if (value !== null) throw usage(`"--${field.long}" ${may}, but got "${value}"`);
    } else if (value === null || (value === "" && attached && !noun)) {
      throw usage(`"${written}" needs a value: ${flagUsage(field)}`);
    } else if (value === "" && field.completes !== undefined && field.takes !== "commas" && !noun) {
      // Names are never empty, and an empty directory name would silently mean another directory.
      throw usage(
        `"${written}" needs a value, but got an empty one: ${flagUsage(field)}`,
        "is a shell variable empty?",
      );
    }
  }
}

/** Throws USAGE if a word is left over or something required is missing. */
function checkWhole(reading: Reading, command: Command, given: Given): void {
  const { options, words, trail } = reading;
  const { places } = given;
  const extra = places.at(-1)?.takes === "list" ? undefined : words[places.length];
  if (extra !== undefined) throw unexpectedWord(extra, reading, command);
  const lackingWords = places.slice(words.length).filter((field) => field.required);
  const lackingOptions = command.flags.filter((flag) => flag.required && !isGiven(options, flag));
  const missing = [...lackingWords.map(argumentUsage), ...lackingOptions.map(flagUsage)];
  if (missing.length > 0) {
    trail.lacks = [...lackingWords, ...lackingOptions];
    const end = missing.pop();
    throw usage(`"${pathOf(trail.nodes)}" needs ${missing.length === 0 ? end : `${missing.join(", ")} and ${end}`}`);
  }
}

const isGiven = (options: readonly Option[], flag: Field): boolean =>
  options.some(({ field }) => field?.long === flag.long);

const usage = (message: string, hint: string | null = null): BpfmanError => new BpfmanError("USAGE", message, { hint });

/** Most superfluous words are meant for an option: explain how to write that. */
function unexpectedWord(word: string, { tokens, options }: Reading, { flags }: Command): BpfmanError {
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
  return usage(`unexpected argument "${word}"`, hint);
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

const shownNames = (group: Group): string[] => shownBelow(group).map((node) => node.name);

function unknownCommand(word: string, group: Group, path: string): BpfmanError {
  const names = shownNames(group);
  return usage(
    `unknown command "${word}" for "${path}"`,
    didYouMean(word, names) ?? `commands are ${names.join(", ")}`,
  );
}

/** Returns the node that a help topic names: `["attach", "tcx"]`. Throws USAGE for an unknown one. */
export async function topic(words: readonly string[]): Promise<Trail> {
  const nodes: Node[] = [ROOT];
  let node: Node = ROOT;
  for (const word of words) {
    if (!isGroup(node)) throw usage(`"${pathOf(nodes)}" has no command "${word}"`);
    const child = childOf(node, word);
    if (child === null) throw unknownCommand(word, node, pathOf(nodes));
    node = child;
    nodes.push(node);
  }
  return { ...newTrail(), nodes, command: isGroup(node) ? null : await node.load(), noun: isNoun(nodes) };
}
