/**
 * Flags of compilation databases. A database belongs to whoever can write above the source, and root may be compiling: only
 * flags that cannot make the compiler run or write anything are taken, each checked, and paths are made absolute.
 */
import { resolve } from "node:path";

/** Flags that name a path, in the same word or in the next. */
const PATHS = ["-isystem", "-iquote", "-include", "-I"] as const;
/** Flags with a name or a definition, in the same word or in the next. */
const MACROS = ["-D", "-U"] as const;

const MACRO: Readonly<Record<(typeof MACROS)[number], RegExp>> = {
  "-D": /^[A-Za-z_]\w*(\([\w\s,.]*\))?(=[^\0]*)?$/,
  "-U": /^[A-Za-z_]\w*$/,
};
/** Warnings. `-Wl,`, `-Wa,` and `-Wp,` hand options to other programs. */
const WARNING = /^-W([a-z][a-z0-9+-]*(=[a-z0-9-]+)?)?$/;
const PLAIN: readonly RegExp[] = [
  /^-std=(c|gnu|iso9899:)[0-9a-z]+$/,
  /^-O[0-3sz]?$/,
  /^-g[0-3]?$/,
  WARNING,
  /^-mcpu=(v[1-9]|generic|probe)$/,
  /^-target=bpf(el|eb)?$/,
  /^--target=bpf(el|eb)?$/,
];
const TARGET = /^bpf(el|eb)?$/;

/** Returns the flags that are taken, in their order, with paths below `directory` made absolute. */
export function takenFlags(words: readonly string[], directory: string): string[] {
  const taken: string[] = [];
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? "";
    const next = words[at + 1];
    const path = PATHS.find((flag) => word.startsWith(flag));
    const macro = MACROS.find((flag) => word.startsWith(flag));
    if (word === "-target" || word === "--target") {
      at++;
      if (next !== undefined && TARGET.test(next)) taken.push(`--target=${next}`);
    } else if (path !== undefined) {
      const value = word === path ? next : word.slice(path.length);
      if (word === path) at++;
      // As a word of its own, and absolute: it can be taken neither for an option nor for a file of options.
      if (value !== undefined && value !== "" && !value.includes("\0")) taken.push(path, resolve(directory, value));
    } else if (macro !== undefined) {
      const value = word === macro ? next : word.slice(macro.length);
      if (word === macro) at++;
      if (value !== undefined && MACRO[macro].test(value)) taken.push(`${macro}${value}`);
    } else if (PLAIN.some((pattern) => pattern.test(word))) taken.push(word.replace(/^-target=/, "--target="));
  }
  return taken;
}

/** Splits a command as a POSIX shell does, without expanding anything. */
export function wordsOf(command: string): string[] {
  const words: string[] = [];
  let word: string | null = null;
  let quote: string | null = null;
  for (let at = 0; at < command.length; at++) {
    const character = command[at] as string;
    if (character === "\\" && quote !== "'") {
      const next = command[++at] ?? "";
      word = (word ?? "") + (quote === '"' && !/["\\$`]/.test(next) ? `\\${next}` : next);
    } else if (quote !== null) {
      if (character === quote) quote = null;
      else word = (word ?? "") + character;
    } else if (character === "'" || character === '"') {
      quote = character;
      word ??= "";
    } else if (/\s/.test(character)) {
      if (word !== null) words.push(word);
      word = null;
    } else word = (word ?? "") + character;
  }
  if (word !== null) words.push(word);
  return words;
}
