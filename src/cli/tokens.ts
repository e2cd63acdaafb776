/** Takes options off a command line, as clap does: `--flag value`, `--flag=value`, `-f value`, `-fvalue`, `-f=value`. */
import { BpfmanError } from "../errors/error.ts";
import { didYouMean } from "../errors/suggest.ts";
import { type Flag, flagUsage } from "./command.ts";

export interface Tokens {
  readonly all: readonly string[];
  /** Index of the token that is read next. */
  next: number;
  /** After `--`: everything that follows is a word. */
  literal: boolean;
}

/** Values by the long name of their option. A switch holds the form it was written in. */
export type Found = Map<string, string[]>;

/** Whether a token starts an option. A negative number does not: no option is a digit. */
export const looksLikeFlag = (token: string): boolean =>
  token.length > 1 && token.startsWith("-") && !"0123456789".includes(token.charAt(1));

/** Whether the option that a token starts is one of these. */
export function isKnown(token: string, known: readonly Flag[]): boolean {
  if (!token.startsWith("--")) return known.some((flag) => flag.short === token[1]);
  const [written] = token.split("=", 1);
  return known.some((flag) => `--${flag.long}` === written);
}

/** Reads the option at the cursor with its values. Throws USAGE. */
export function takeFlag(tokens: Tokens, known: readonly Flag[], found: Found): void {
  const token = tokens.all[tokens.next++] ?? "";
  if (token.startsWith("--")) takeLong(token, { tokens, known, found });
  else takeShort(token, { tokens, known, found });
}

interface Taking {
  readonly tokens: Tokens;
  readonly known: readonly Flag[];
  readonly found: Found;
}

function takeLong(token: string, taking: Taking): void {
  const equals = token.indexOf("=");
  const written = equals < 0 ? token : token.slice(0, equals);
  const flag = taking.known.find((candidate) => `--${candidate.long}` === written);
  if (flag === undefined) throw unknownOption(written, taking.known);
  record(flag, taking, { written, attached: equals < 0 ? null : token.slice(equals + 1) });
}

/** `-abc`: switches, the last of which may be an option whose value is the rest or the next token. */
function takeShort(token: string, taking: Taking): void {
  const letters = [...token.slice(1)];
  for (const [index, letter] of letters.entries()) {
    const flag = taking.known.find((candidate) => candidate.short === letter);
    if (flag === undefined) throw unknownOption(`-${letter}`, taking.known);
    const rest = letters.slice(index + 1).join("");
    const attached = rest === "" || (flag.takes === "nothing" && !rest.startsWith("=")) ? null : rest.replace(/^=/, "");
    record(flag, taking, { written: `-${letter}`, attached });
    if (flag.takes !== "nothing") return;
  }
}

function record(flag: Flag, { tokens, found }: Taking, form: { written: string; attached: string | null }): void {
  const before = found.get(flag.long) ?? [];
  const once = flag.takes === "nothing" || flag.takes === "one";
  if (once && before.length > 0) {
    throw new BpfmanError("USAGE", `"${flagUsage(flag)}" cannot be used multiple times`);
  }
  if (flag.takes === "nothing") {
    if (form.attached !== null) {
      throw new BpfmanError("USAGE", `"--${flag.long}" takes no value, but got "${form.attached}"`);
    }
    found.set(flag.long, [form.written]);
    return;
  }
  const values = form.attached === null ? following(flag, tokens) : [form.attached];
  if (values.length === 0 || form.attached === "") {
    throw new BpfmanError("USAGE", `"${form.written}" needs a value: ${flagUsage(flag)}`);
  }
  found.set(flag.long, [
    ...before,
    ...(flag.takes === "commas" ? values.flatMap((value) => value.split(",")) : values),
  ]);
}

/** The tokens behind an option that are its values. */
function following(flag: Flag, tokens: Tokens): string[] {
  const values: string[] = [];
  const most = flag.takes === "list" ? Number.POSITIVE_INFINITY : 1;
  while (values.length < most) {
    const token = tokens.all[tokens.next];
    if (token === undefined || looksLikeFlag(token)) break;
    values.push(token);
    tokens.next++;
  }
  return values;
}

function unknownOption(written: string, known: readonly Flag[]): BpfmanError {
  const message = `unknown option "${written}"`;
  const hint = written.startsWith("--")
    ? didYouMean(
        written,
        known.map((flag) => `--${flag.long}`),
      )
    : null;
  return new BpfmanError("USAGE", message, hint === null ? {} : { hint });
}
