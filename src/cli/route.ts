/** From the words of a command line to the command they name, and that command's own words and options. */
import { BpfmanError } from "../errors/error.ts";
import { didYouMean } from "../errors/suggest.ts";
import {
  type Argument,
  argumentUsage,
  type Command,
  flagUsage,
  isGroup,
  isNoun,
  type Flag,
  type Group,
  type Line,
  type Node,
} from "./command.ts";
import { HELP_LEAF, ROOT, VERSION_LEAF } from "./commands.ts";
import { globalFlagsBeside, HELP, VERSION } from "./global-flags.ts";
import { type Found, isKnown, looksLikeFlag, type Takable, takeFlag, type Tokens } from "./tokens.ts";

/** How far reading got: what help describes, and whose usage an error shows. */
export interface Trail {
  /** From the root to the last node whose name was read. */
  nodes: readonly Node[];
  /** The last node's command once it is fetched; null for a group, and for a command that is only named. */
  command: Command | null;
  /** The line is one of the noun-verb grammar, by its commands or its words. */
  noun: boolean;
}

type Environment = Readonly<Record<string, string | undefined>>;

export type Route =
  | { readonly kind: "run"; readonly command: Command; readonly line: Line }
  | { readonly kind: "help"; readonly detail: "short" | "long" }
  /** A group without a command: its short help, as an error. */
  | { readonly kind: "incomplete" };

export const newTrail = (): Trail => ({ nodes: [ROOT], command: null, noun: false });

/** What the process was given. */
interface Given {
  readonly args: readonly string[];
  readonly env: Environment;
}

/** Reads a command line. `trail` says how far it got, also when this throws. Throws USAGE. */
export async function route({ args, env }: Given, trail: Trail): Promise<Route> {
  const tokens: Tokens = { all: args, next: 0, literal: false };
  const found: Found = new Map();
  const words: string[] = [];

  let node: Node = ROOT;
  while (isGroup(node)) {
    const here: Group = node;
    const known = here === ROOT ? [...globalFlagsBeside([]), VERSION] : globalFlagsBeside([]);
    // An option that is not global belongs to the command that was left out.
    const word = nextWord(tokens, found, { known, noun: trail.noun, stop: here.otherwise !== undefined });
    const help = askedHelp(found);
    if (help !== null) return help;
    if (found.has(VERSION.long)) {
      if (word !== null) throw new BpfmanError("USAGE", `"--version" takes no command, but got "${word}"`);
      node = VERSION_LEAF;
    } else if (word === null) {
      const meant = otherwiseOf(here);
      if (meant === null && words.length === 0 && !trail.noun) return { kind: "incomplete" };
      if (meant === null)
        throw new BpfmanError("USAGE", `"${pathOf(trail)}" needs a command: ${shownNames(here).join(", ")}`);
      node = meant;
    } else if (word === "help" && here !== ROOT) {
      // `bpfman load help file` is `bpfman help load file`.
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
      if (node === here) throw unknownCommand(word, here, pathOf(trail));
    }
    trail.nodes = [...trail.nodes, node];
    trail.noun = isNoun(trail.nodes);
  }

  const command = await node.load();
  trail.command = command;
  const known = [...command.flags, ...globalFlagsBeside(command.flags)];
  for (;;) {
    const word = nextWord(tokens, found, { known, noun: trail.noun, stop: false });
    const help = askedHelp(found);
    if (help !== null) return help;
    if (word === null) break;
    words.push(word);
    trail.noun ||= command.args[0]?.grammar === "noun";
  }
  const slots = [...trail.nodes.flatMap((each) => (isGroup(each) ? (each.args ?? []) : [])), ...command.args];
  const line = lineOf({ args: slots, words, found, tokens, command, path: pathOf(trail), env });
  return { kind: "run", command, line };
}

const otherwiseOf = (group: Group): Node | null =>
  group.otherwise === undefined ? null : childOf(group, group.otherwise.child);

interface Options extends Takable {
  readonly stop: boolean;
}

/**
 * The next word, reading the options before it; null at the end, as soon as help is asked for, and with `stop` before an
 * option that is not known.
 */
function nextWord(tokens: Tokens, found: Found, { known, noun, stop }: Options): string | null {
  for (;;) {
    const token = tokens.all[tokens.next];
    if (token === undefined) return null;
    if (!tokens.literal && token === "--") {
      tokens.literal = true;
      tokens.next++;
    } else if (!tokens.literal && looksLikeFlag(token)) {
      if (stop && !isKnown(token, known)) return null;
      takeFlag(tokens, { known, noun }, found);
      if (askedHelp(found) !== null) return null;
    } else {
      tokens.next++;
      return token;
    }
  }
}

function askedHelp(found: Found): Route | null {
  const form = found.get(HELP.long)?.[0];
  if (form === undefined) return null;
  return { kind: "help", detail: form === "-h" ? "short" : "long" };
}

interface Parts {
  readonly args: readonly Argument[];
  readonly words: readonly string[];
  readonly found: Found;
  readonly tokens: Tokens;
  readonly command: Command;
  readonly path: string;
  readonly env: Environment;
}

/** Gives each argument its words. Throws USAGE when something required is missing, or a word is left over. */
function lineOf(parts: Parts): Line {
  const { args, words, found, command, path, env } = parts;
  const byArgument = new Map<Argument, readonly string[]>();
  let at = 0;
  for (const arg of args) {
    const taken = words.slice(at, arg.many ? words.length : at + 1);
    byArgument.set(arg, taken);
    at += taken.length;
  }
  const extra = words[at];
  if (extra !== undefined) throw unexpectedWord(extra, parts);

  const missing = [
    ...args.filter((arg) => !arg.optional && byArgument.get(arg)?.length === 0).map(argumentUsage),
    ...command.flags.filter((flag) => flag.required && !found.get(flag.long)?.length).map(flagUsage),
  ];
  if (missing.length > 0) {
    const last = missing.pop();
    const list = missing.length === 0 ? last : `${missing.join(", ")} and ${last}`;
    throw new BpfmanError("USAGE", `"${path}" needs ${list}`);
  }
  const values = (flag: Flag): readonly string[] => found.get(flag.long) ?? [];
  const wordsOf = (arg: Argument): readonly string[] => byArgument.get(arg) ?? [];
  return {
    has: (flag) => values(flag).length > 0,
    value: (flag) => values(flag)[0] ?? (flag.env === undefined ? null : env[flag.env] || null),
    values,
    words: wordsOf,
    word: (arg) => wordsOf(arg)[0] ?? "",
  };
}

/** Most words that are left over belong to an option: say how that is written. */
function unexpectedWord(word: string, { command, found, tokens }: Parts): BpfmanError {
  const at = tokens.all.indexOf(word);
  const before = tokens.all[at - 1] ?? "";
  const list = command.flags.find((flag) => flag.takes === "list" && before.startsWith(`--${flag.long}=`));
  const commas = command.flags.find((flag) => {
    if (flag.takes !== "commas" || !found.has(flag.long)) return false;
    const isBehind = [`--${flag.long}`, `-${flag.short}`].includes(tokens.all[at - 2] ?? "");
    return isBehind || before.startsWith(`--${flag.long}=`) || word.includes("=");
  });
  const needed = command.flags.find((flag) => flag.required && !found.has(flag.long));
  let hint: string | null = null;
  if (list !== undefined) hint = `write several values without "=": --${list.long} FIRST SECOND`;
  else if (commas !== undefined) hint = `separate several values of --${commas.long} by commas, or repeat it`;
  else if (needed !== undefined) hint = `is it meant as an option? --${needed.long} ${word}`;
  return new BpfmanError("USAGE", `unexpected argument "${word}"`, hint === null ? {} : { hint });
}

function unknownCommand(word: string, group: Group, path: string): BpfmanError {
  const names = shownNames(group);
  const hint = didYouMean(word, names) ?? `commands are ${names.join(", ")}`;
  return new BpfmanError("USAGE", `unknown command "${word}" for "${path}"`, { hint });
}

/** `bpfman attach tcx` */
export const pathOf = (trail: Trail): string => trail.nodes.map((node) => node.name).join(" ");

function childOf(group: Group, name: string): Node | null {
  const isNamed = (node: Node): boolean =>
    node.name === name || (!isGroup(node) && node.aliases?.includes(name) === true);
  return group.children.find(isNamed) ?? null;
}

const shownNames = (group: Group): string[] =>
  group.children.filter((node) => isGroup(node) || !node.hidden).map((node) => node.name);

/** The node that a help topic names: `["attach", "tcx"]`. Throws USAGE for one that is not there. */
export async function topic(words: readonly string[]): Promise<Trail> {
  const nodes: Node[] = [ROOT];
  let node: Node = ROOT;
  for (const word of words) {
    const path = nodes.map((each) => each.name).join(" ");
    if (!isGroup(node)) throw new BpfmanError("USAGE", `"${path}" has no command "${word}"`);
    const child = childOf(node, word);
    if (child === null) throw unknownCommand(word, node, path);
    node = child;
    nodes.push(node);
  }
  return { nodes, command: isGroup(node) ? null : await node.load(), noun: isNoun(nodes) };
}
