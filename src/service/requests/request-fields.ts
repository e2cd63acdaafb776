/**
 * Fields shared by several requests. Only these schemas define what is well-formed. Made by functions, because a command needs
 * few of them, and making one costs as much as calling twenty functions.
 */
import * as v from "valibot";
import {
  ID_MAX,
  METADATA_CHARS_MAX,
  METADATA_PAIRS_MAX,
  NAME_CHARS_MAX,
  NETFILTER_PRIORITY_MAX,
  NETFILTER_PRIORITY_MIN,
  OBJECT_BYTES_MAX,
  PRIORITY_WIDE_MAX,
} from "../../domain/limits.ts";

export function name() {
  return v.pipe(v.string(), v.minLength(1), v.maxLength(NAME_CHARS_MAX));
}
export function path() {
  return v.pipe(v.string(), v.minLength(1), v.maxLength(4095), v.regex(/^[^\0]*$/, "a path cannot hold a NUL byte"));
}
/** The schema library's own check fails for texts of some megabytes. */
function isBase64(text: string): boolean {
  try {
    Uint8Array.fromBase64(text);
    return true;
  } catch {
    return false;
  }
}

/** An object itself, for callers whose files the server cannot read, or should not. */
export function objectBytes() {
  return v.strictObject({
    /** What answers and errors call it: the path of its source, for example. Nothing is read there. */
    name: path(),
    base64: v.pipe(v.string(), v.maxLength(4 * Math.ceil(OBJECT_BYTES_MAX / 3)), v.check(isBase64, "must be base64")),
  });
}
export function id() {
  return v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(ID_MAX));
}
/** A program, or a link by its program: an ID, `NAME`, or `APPLICATION/NAME`. A string of digits is an ID. */
export function idOrName() {
  return v.union(
    [id(), v.pipe(v.string(), v.minLength(1), v.maxLength(METADATA_CHARS_MAX + 1 + NAME_CHARS_MAX))],
    "an id, a name, or APPLICATION/NAME",
  );
}
export function pid() {
  return v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(0x7fff_ffff));
}
export function offset() {
  return v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(Number.MAX_SAFE_INTEGER));
}
export function count() {
  return v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(Number.MAX_SAFE_INTEGER));
}
/** An ID, `PROGRAM_ID/NAME`, `APPLICATION/NAME`, a name that only one map has, or the path of a pin. */
export function mapName() {
  return v.union([id(), path()]);
}
export function text() {
  return v.pipe(v.string(), v.maxLength(METADATA_CHARS_MAX));
}

/** Keys that a plain object cannot hold safely. The schema library silently drops them. */
const RESERVED_KEYS = ["__proto__", "constructor", "prototype"];

/**
 * An object used as a table. Reserved keys are rejected rather than dropped. An empty list is accepted as an empty
 * table: encoders of languages with one type for both write `[]`.
 */
export function table() {
  return v.pipe(
    v.custom<Record<string, unknown>>(
      (value) => typeof value === "object" && value !== null && (!Array.isArray(value) || value.length === 0),
      "an object is needed",
    ),
    v.transform((value) => (Array.isArray(value) ? {} : value)),
    v.check(
      (value) => !RESERVED_KEYS.some((key) => Object.hasOwn(value, key)),
      `the names ${RESERVED_KEYS.join(", ")} cannot be used`,
    ),
  );
}

export function metadata() {
  const value = text();
  return v.optional(
    v.pipe(
      table(),
      v.record(v.pipe(value, v.minLength(1)), value),
      v.maxEntries(METADATA_PAIRS_MAX, `at most ${METADATA_PAIRS_MAX} pairs`),
    ),
    {},
  );
}

/** bpfman's own words and the kernel's (domain/kernel-words.ts). Checked where the words are known. */
const typeWord = () => v.pipe(v.string(), v.minLength(1));

export function programType() {
  const word = typeWord();
  return v.optional(v.nullable(v.union([word, v.array(word)])), null);
}
/** If set, bpfman's own words match only that type: `tc` excludes tcx, unlike the kernel's word. */
export function exactTypes() {
  return v.optional(v.boolean());
}
export function application() {
  return v.optional(v.nullable(text()), null);
}

const SIGNED_SHAPE = `a priority is a whole number from ${NETFILTER_PRIORITY_MIN} to ${NETFILTER_PRIORITY_MAX}`;
export function signedPriority() {
  return v.pipe(
    v.number(SIGNED_SHAPE),
    v.integer(SIGNED_SHAPE),
    v.minValue(NETFILTER_PRIORITY_MIN, SIGNED_SHAPE),
    v.maxValue(NETFILTER_PRIORITY_MAX, SIGNED_SHAPE),
  );
}

const PRIORITY_SHAPE = `a priority is a whole number from 0 to ${PRIORITY_WIDE_MAX}`;
/** The classic grammar has a smaller limit (PRIORITY_MAX), which it enforces itself. */
export function priority() {
  return v.pipe(
    v.number(PRIORITY_SHAPE),
    v.integer(PRIORITY_SHAPE),
    v.minValue(0, PRIORITY_SHAPE),
    v.maxValue(PRIORITY_WIDE_MAX, PRIORITY_SHAPE),
  );
}
