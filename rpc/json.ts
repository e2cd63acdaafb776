/** Parses untrusted JSON, whose nesting depth is checked before parsing. */
import { JSON_DEPTH_MAX } from "../src/domain/limits.ts";
import { reasonOf } from "../src/errors/sys-failure.ts";

/** `malformed`: not JSON. `refused`: valid JSON with a shape that no legitimate client sends. */
export type Parsed =
  | { readonly kind: "value"; readonly value: unknown }
  | { readonly kind: "malformed"; readonly reason: string }
  | { readonly kind: "refused"; readonly reason: string };

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Deep nesting costs far more memory than its bytes, and stack space in code that walks it later. */
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

/** Returns the position of the quote that ends the string starting at `start`, or the end of the bytes. */
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

/** Names with a special meaning in JavaScript and none in any request. */
const RESERVED_NAMES = ["__proto__", "constructor", "prototype"];

/**
 * Returns the path and problem of the first value in params that no operation should receive; null if there is none. A
 * lone surrogate cannot be encoded: used in a path, it would name a different file.
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
