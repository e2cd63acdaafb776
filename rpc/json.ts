/** JSON of strangers: bounded before it is parsed. */
import { JSON_DEPTH_MAX } from "../src/domain/limits.ts";
import { reasonOf } from "../src/errors/sys-failure.ts";

/** `malformed` is no JSON at all; `refused` is JSON of a shape that nobody sends. */
export type Parsed =
  | { readonly kind: "value"; readonly value: unknown }
  | { readonly kind: "malformed"; readonly reason: string }
  | { readonly kind: "refused"; readonly reason: string };

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Deep nesting costs memory far beyond its bytes, and the stacks of those who walk it later. */
function isTooDeep(bytes: Uint8Array): boolean {
  let depth = 0;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte === QUOTE) {
      at = stringEnd(bytes, at);
    } else if (byte === 0x5b || byte === 0x7b) {
      depth++;
      if (depth > JSON_DEPTH_MAX) return true;
    } else if (byte === 0x5d || byte === 0x7d) depth--;
  }
  return false;
}

/** Place of the quote that ends the string which begins at `start`; the end of the bytes when there is none. */
function stringEnd(bytes: Uint8Array, start: number): number {
  for (let at = bytes.indexOf(QUOTE, start + 1); at >= 0; at = bytes.indexOf(QUOTE, at + 1)) {
    let backslashes = 0;
    while (at - 1 - backslashes > start && bytes[at - 1 - backslashes] === BACKSLASH) backslashes++;
    if (backslashes % 2 === 0) return at;
  }
  return bytes.length;
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export function parseJson(bytes: Uint8Array): Parsed {
  if (isTooDeep(bytes)) return { kind: "refused", reason: `more than ${JSON_DEPTH_MAX} levels of nesting` };
  let text: string;
  try {
    text = decoder.decode(bytes);
  } catch {
    return { kind: "malformed", reason: "it is not UTF-8" };
  }
  try {
    return { kind: "value", value: JSON.parse(text) };
  } catch (thrown) {
    return { kind: "malformed", reason: reasonOf(thrown) };
  }
}

/** Names that mean something to JavaScript itself, and nothing in any request. */
const RESERVED_NAMES = ["__proto__", "constructor", "prototype"];

/**
 * The path of the first thing in params that no operation should meet, and what is wrong with it; null when all is well.
 * A lone surrogate has no bytes: as a path it would name another file than the one meant.
 */
export function unsafePart(value: unknown, path = ""): { readonly field: string; readonly problem: string } | null {
  if (typeof value === "string") {
    return value.isWellFormed() ? null : { field: path, problem: "half of a surrogate pair is not a character" };
  }
  if (typeof value !== "object" || value === null) return null;
  for (const [name, part] of Object.entries(value)) {
    const field = path === "" ? name : `${path}.${name}`;
    if (!Array.isArray(value)) {
      if (RESERVED_NAMES.includes(name)) return { field, problem: `the name "${name}" cannot be used` };
      if (!name.isWellFormed()) return { field: path, problem: "half of a surrogate pair is not a character" };
    }
    const found = unsafePart(part, field);
    if (found !== null) return found;
  }
  return null;
}
