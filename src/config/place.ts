/**
 * Locates keys in TOML text. The parser returns values without positions, so this reads text that the parser has
 * accepted a second time, for its keys only.
 */

/** Both from 1. Columns count UTF-16 code units. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** Returns the offset in the text of the key at the path `keys` (array indexes as decimal strings). */
export type Locate = (keys: readonly string[]) => number;

/**
 * Indexes the keys of a text. The returned function gives the offset of a key; if it is not written out, that of the
 * nearest table above it, or 0.
 */
export function locator(text: string): Locate {
  const offsets = keyOffsets(text);
  return (keys) => {
    for (let length = keys.length; length > 0; length--) {
      const offset = offsets.get(JSON.stringify(keys.slice(0, length)));
      if (offset !== undefined) return offset;
    }
    return 0;
  };
}

export function placeAt(text: string, offset: number): Place {
  const before = text.slice(0, offset);
  return { line: before.split("\n").length, column: offset - before.lastIndexOf("\n") };
}

/** Deeper keys are not recorded: no configuration is that deep, and their paths would grow with the depth. */
const DEPTH_MAX = 16;

/** The four kinds of strings. A dot does not match a newline. */
const STRING = /"""(?:[^\\]|\\[\s\S])*?"{3,5}|'''[\s\S]*?'{3,5}|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'/y;

/** Path of each key, as JSON -> offset of its first occurrence in the text. */
function keyOffsets(text: string): ReadonlyMap<string, number> {
  const offsets = new Map<string, number>();
  /** Path of each array of tables, as JSON -> index of its last element so far. */
  const lastIndex = new Map<string, number>();
  let at = 0;

  const note = (path: readonly string[], offset: number): void => {
    if (path.length > DEPTH_MAX) return;
    const name = JSON.stringify(path);
    if (!offsets.has(name)) offsets.set(name, offset);
  };
  /** Skips spaces and comments, and newlines where they are insignificant. */
  const skipBlank = (newlines: boolean): void => {
    const blank = newlines ? /(?:[ \t\r\n]|#[^\n]*)*/y : /[ \t]*/y;
    blank.lastIndex = at;
    at += blank.exec(text)?.[0].length ?? 0;
  };
  const take = (pattern: RegExp): string => {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0] ?? "";
    at += found.length;
    return found;
  };

  /** Reads a dotted key below `table` and returns its path. */
  const readKey = (table: readonly string[]): string[] => {
    const path = [...table];
    for (;;) {
      skipBlank(false);
      const start = at;
      const word = take(/"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[^\s.=\]'"]+/y);
      if (word === "") return path;
      path.push(word.startsWith('"') ? unquoted(word) : word.startsWith("'") ? word.slice(1, -1) : word);
      note(path, start);
      skipBlank(false);
      if (text[at] !== ".") return path;
      at++;
      // An array of tables within a path stands for its last element.
      const index = path.length > DEPTH_MAX ? undefined : lastIndex.get(JSON.stringify(path));
      if (index !== undefined) path.push(String(index));
    }
  };

  const readValue = (path: readonly string[]): void => {
    skipBlank(false);
    if (text[at] === "[") readArray(path);
    else if (text[at] === "{") readInlineTable(path);
    else if (take(STRING) === "") take(/[^,\]}#\n]*/y);
  };
  const readArray = (path: readonly string[]): void => {
    at++;
    for (let index = 0; at < text.length; index++) {
      skipBlank(true);
      if (text[at] === "]") break;
      readValue([...path, String(index)]);
      skipBlank(true);
      if (text[at] !== ",") break;
      at++;
    }
    at++;
  };
  const readInlineTable = (path: readonly string[]): void => {
    at++;
    while (at < text.length) {
      skipBlank(true);
      if (text[at] === "}") break;
      readPair(path);
      skipBlank(true);
      if (text[at] !== ",") break;
      at++;
    }
    at++;
  };
  const readPair = (table: readonly string[]): void => {
    const path = readKey(table);
    take(/=/y);
    readValue(path);
  };
  const readHeader = (): string[] => {
    const isArray = take(/\[\[?/y) === "[[";
    const path = readKey([]);
    take(/\]\]?/y);
    if (!isArray) return path;
    const name = JSON.stringify(path);
    const index = (lastIndex.get(name) ?? -1) + 1;
    lastIndex.set(name, index);
    return [...path, String(index)];
  };

  let table: string[] = [];
  for (skipBlank(true); at < text.length; skipBlank(true)) {
    const before = at;
    if (text[at] === "[") table = readHeader();
    else readPair(table);
    // Skip what this reader does not understand, so that it always advances.
    if (at === before) at++;
  }
  return offsets;
}

/** A basic string has JSON's escapes, plus \UXXXXXXXX, \e and \xHH. */
function unquoted(word: string): string {
  const json = word.replace(/\\(?:U([0-9a-fA-F]{8})|x([0-9a-fA-F]{2})|(e))/g, (_all, long?: string, short?: string) =>
    JSON.stringify(String.fromCodePoint(Number.parseInt(long ?? short ?? "1b", 16))).slice(1, -1),
  );
  return String(JSON.parse(json));
}
