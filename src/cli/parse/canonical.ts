/**
 * Converts the two dialects of a command line to canonical options, `--programs=a --programs=b`, which cleye parses.
 * The classic grammar follows clap: `--flag value`, `--flag=value`, `-f value`, `-fvalue`, `-f=value`, combined
 * switches, several values after one option, and negative numbers as values. The noun-verb grammar additionally follows
 * Go's kong: the last of several values wins, an empty value means none, and a switch can have a value.
 *
 * Anything unknown is passed on unchanged: nothing is validated here.
 */
import type { Field, Takes } from "../command.ts";

/** A command line being read. */
export interface Tokens {
  readonly all: readonly string[];
  /** Index of the next token. */
  next: number;
  /** After `--`, every token is a word. */
  literal: boolean;
}

/** One value of an option. */
export interface Option {
  /** Null for an unknown option. */
  readonly field: Field | null;
  /** Its name as typed: `--path` or `-p`. */
  readonly written: string;
  /** Null for a switch, and for a missing value. */
  readonly value: string | null;
  /** The value is part of the option's own token. */
  readonly attached: boolean;
}

/** How to read the next part of the line. */
export interface Dialect {
  readonly known: readonly Field[];
  /** The part read so far belongs to the noun-verb grammar. */
  readonly noun: boolean;
}

/** Reports whether a token starts an option. Negative numbers do not, since no option is a digit. */
export const looksLikeFlag = (token: string): boolean =>
  token.length > 1 && token.startsWith("-") && !"0123456789".includes(token.charAt(1));

/** Returns the option with that name, the part before `=`. */
function named(known: readonly Field[], written: string): Field | null {
  const isLong = written.startsWith("--");
  const name = written.slice(isLong ? 2 : 1);
  for (const field of known) {
    if (isLong ? field.long === name || field.aliases?.includes(name) : field.short === name) return field;
  }
  return null;
}

/** Returns the option that a token begins with: `--path=x`, `-px`. */
export const begun = (known: readonly Field[], token: string): Field | null =>
  named(known, token.startsWith("--") ? (token.split("=", 1)[0] ?? "") : token.slice(0, 2));

export const canonicalWord = ({ field, value }: Option): string =>
  value === null ? `--${field?.long}` : `--${field?.long}=${value}`;

/** Normalises a choice for the noun-verb grammar, which ignores letter case and surrounding spaces. */
export const inAnyCase = (field: Field, value: string): string =>
  field.anyCase === true ? value.trim().toLowerCase() : value;

/** How many tokens after an option can be its values. */
const VALUES_MAX: Readonly<Record<Takes, number>> = {
  nothing: 0,
  one: 1,
  commas: 1,
  each: 1,
  list: Number.POSITIVE_INFINITY,
};

/**
 * Reads the option at the cursor and its values, and appends them to `options`. Returns the option if it takes the next
 * token, too, unless that is an option.
 */
export function takeOption(tokens: Tokens, { known, noun }: Dialect, options: Option[]): Field | null {
  const token = tokens.all[tokens.next++] ?? "";
  let awaiting: Field | null = null;
  /**
   * Reports whether another option follows in the same token, which is only possible after a switch without a value.
   */
  const take = (written: string, attachedTo: (field: Field) => string | null): boolean => {
    const field = named(known, written);
    if (field === null) {
      options.push({ field, written, value: null, attached: false });
      return false;
    }
    const attached = attachedTo(field);
    const values = attached === null ? following(tokens, VALUES_MAX[field.takes]) : [attached];
    if (attached === null && values.length < VALUES_MAX[field.takes]) awaiting = field;
    const given = (values.length > 0 ? values : [null]).map((value) => ({
      field,
      written,
      value,
      attached: attached !== null,
    }));
    if (noun) addAsKong(options, field, given);
    else addAsClap(options, field, given);
    return field.takes === "nothing" && attached === null;
  };
  if (token.startsWith("--")) {
    const [written = ""] = token.split("=", 1);
    take(written, () => (token === written ? null : token.slice(written.length + 1)));
    return awaiting;
  }
  // `-abc`: switches, of which the last may be an option whose value is the rest or the next token.
  const letters = [...token.slice(1)];
  for (const [at, letter] of letters.entries()) {
    const rest = letters.slice(at + 1).join("");
    const goesOn = take(`-${letter}`, ({ takes }) =>
      rest === "" || (takes === "nothing" && !rest.startsWith("=")) ? null : rest.replace(/^=/, ""),
    );
    if (!goesOn) break;
  }
  return awaiting;
}

/** Takes tokens up to the next option, and at most that many. */
function following(tokens: Tokens, most: number): string[] {
  const values: string[] = [];
  while (values.length < most) {
    const value = tokens.all[tokens.next];
    if (value === undefined || looksLikeFlag(value)) break;
    values.push(value);
    tokens.next++;
  }
  return values;
}

const pieces = (option: Option, values: readonly string[]): Option[] =>
  values.map((value) => ({ ...option, value, attached: false }));

function addAsClap(options: Option[], field: Field, given: readonly Option[]): void {
  for (const option of given) {
    if (field.takes === "commas" && option.value) options.push(...pieces(option, option.value.split(",")));
    else options.push(option);
  }
}

const ON: readonly string[] = ["true", "yes", "1"];
const OFF: readonly string[] = ["false", "no", "0"];

function addAsKong(options: Option[], field: Field, given: readonly Option[]): void {
  const once = field.takes === "nothing" || field.takes === "one";
  if (once) options.splice(0, options.length, ...options.filter((option) => option.field?.long !== field.long));
  for (const option of given) {
    const { value } = option;
    if (field.takes === "nothing" && value !== null) {
      if (!OFF.includes(value)) options.push(ON.includes(value) ? { ...option, value: null } : option);
    } else if (value === null) options.push(option);
    else if (field.takes === "commas") {
      options.push(
        ...pieces(
          option,
          splitAtCommas(value).map((piece) => inAnyCase(field, piece)),
        ),
      );
    } else if (value !== "" || !once) options.push({ ...option, value: inAnyCase(field, value) });
  }
}

/** `\,` is a comma within a value. A trailing comma does not add an empty value. */
function splitAtCommas(text: string): string[] {
  const parts = [""];
  for (const [piece] of text.matchAll(/\\.|./gs)) {
    if (piece === ",") parts.push("");
    else parts.push(`${parts.pop()}${piece === "\\," ? "," : piece}`);
  }
  return parts.at(-1) === "" ? parts.slice(0, -1) : parts;
}
