/**
 * Validates values from the database: what another version or a damaged page left there becomes an error that names the
 * column, never a wrong record.
 */

/** Thrown by the checks below. The caller adds table, ID and path. */
export class Undecodable extends Error {}

/** Validates one value. `place` is the column, or the path inside its JSON. Throws {@link Undecodable}. */
export type Check<T> = (value: unknown, place: string) => T;

const refuse = (place: string, wanted: string): never => {
  throw new Undecodable(`${place} is not ${wanted}`);
};

export const text: Check<string> = (value, place) => (typeof value === "string" ? value : refuse(place, "text"));

/** An integer of at least `least`. */
export const whole =
  (least: number): Check<number> =>
  (value, place) =>
    Number.isSafeInteger(value) && (value as number) >= least
      ? (value as number)
      : refuse(place, `a whole number from ${least}`);

export const truth: Check<boolean> = (value, place) =>
  typeof value === "boolean" ? value : refuse(place, "true or false");

/** An ID of the kernel or of bpfman: 1 to 2^32 - 1. */
export const id: Check<number> = (value, place) =>
  Number.isInteger(value) && (value as number) >= 1 && (value as number) <= 0xffff_ffff
    ? (value as number)
    : refuse(place, "an id");

export const nullable =
  <T>(check: Check<T>): Check<T | null> =>
  (value, place) =>
    value === null ? null : check(value, place);

export const oneOf =
  <const T extends string>(words: readonly T[]): Check<T> =>
  (value, place) =>
    words.includes(value as T) ? (value as T) : refuse(place, `one of ${words.join(", ")}`);

/** Milliseconds since 1970. */
export const time: Check<Date> = (value, place) => {
  const date = new Date(typeof value === "number" ? value : Number.NaN);
  return Number.isNaN(date.getTime()) ? refuse(place, "a time in milliseconds") : date;
};

/** Prefixes the place of a failed part with that of the whole. Only failures pay for building the name. */
function within(place: string, thrown: unknown): unknown {
  return thrown instanceof Undecodable ? new Undecodable(`${place}.${thrown.message}`) : thrown;
}

export const listOf =
  <T>(check: Check<T>): Check<T[]> =>
  (value, place) => {
    if (!Array.isArray(value)) return refuse(place, "a list");
    try {
      return value.map((item, index) => check(item, String(index)));
    } catch (thrown) {
      throw within(place, thrown);
    }
  };

export type Fields = Readonly<Record<string, unknown>>;

export const fields: Check<Fields> = (value, place) =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : refuse(place, "an object");

/**
 * An object with arbitrary keys and values of one type. Returns the object parsed from JSON itself, in which
 * `__proto__` is an ordinary key.
 */
export const mapOf =
  <T>(check: Check<T>): Check<Record<string, T>> =>
  (value, place) => {
    const found = fields(value, place) as Record<string, T>;
    try {
      for (const name of Object.keys(found)) found[name] = check(found[name], name);
    } catch (thrown) {
      throw within(place, thrown);
    }
    return found;
  };

/** An object with exactly these keys. */
export function shape<T extends object>(checks: { readonly [Key in keyof T]: Check<T[Key]> }): Check<T> {
  const keys = Object.keys(checks) as (keyof T & string)[];
  return (value, place) => {
    const found = fields(value, place);
    const result: Partial<T> = {};
    try {
      for (const key of keys) result[key] = checks[key](found[key], key);
      for (const key of Object.keys(found)) if (!Object.hasOwn(checks, key)) refuse(key, "a known field");
    } catch (thrown) {
      throw within(place, thrown);
    }
    return result as T;
  };
}

/** Bytes encoded as base64. */
export const bytes: Check<Uint8Array> = (value, place) => {
  try {
    return Uint8Array.fromBase64(text(value, place));
  } catch {
    return refuse(place, "base64");
  }
};

/** A TEXT column that contains JSON. */
export const json =
  <T>(check: Check<T>): Check<T> =>
  (value, place) => {
    let parsed: unknown;
    try {
      parsed = JSON.parse(text(value, place));
    } catch {
      return refuse(place, "JSON");
    }
    return check(parsed, place);
  };
