/**
 * Takes options off a command line, as clap does: `--flag value`, `--flag=value`, `-f value`, `-fvalue`, `-f=value`. In the
 * noun-verb grammar also as Go's kong does: the last of several values counts, an empty one stands for none, and a
 * switch may have one.
 */
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

/** Values by the long name of their option. A switch holds the form it was written in, and nothing when it is off. */
export type Found = Map<string, string[]>;

/** What may be taken at a place of the line. */
export interface Takable {
  readonly known: readonly Flag[];
  /** The line is one of the noun-verb grammar, as far as it was read. */
  readonly noun: boolean;
}

/** Whether a token starts an option. A negative number does not: no option is a digit. */
export const looksLikeFlag = (token: string): boolean =>
  token.length > 1 && token.startsWith("-") && !"0123456789".includes(token.charAt(1));

/** Whether the option that a token starts is one of these. */
export function isKnown(token: string, known: readonly Flag[]): boolean {
  if (!token.startsWith("--")) return known.some((flag) => flag.short === token[1]);
  const [written = ""] = token.split("=", 1);
  return known.some((flag) => isNamed(flag, written));
}

const isNamed = ({ long, aliases = [] }: Flag, written: string): boolean =>
  [long, ...aliases].some((name) => `--${name}` === written);

/** Reads the option at the cursor with its values. Throws USAGE. */
export function takeFlag(tokens: Tokens, takable: Takable, found: Found): void {
  const token = tokens.all[tokens.next++] ?? "";
  if (token.startsWith("--")) takeLong(token, { ...takable, tokens, found });
  else takeShort(token, { ...takable, tokens, found });
}

interface Taking extends Takable {
  readonly tokens: Tokens;
  readonly found: Found;
}

function takeLong(token: string, taking: Taking): void {
  const equals = token.indexOf("=");
  const written = equals < 0 ? token : token.slice(0, equals);
  const flag = taking.known.find((candidate) => isNamed(candidate, written));
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
    if (flag.takes !== "nothing" || attached !== null) return;
  }
}

/** An option as it was written, with what hangs on it behind `=` or a letter. */
interface Form {
  readonly written: string;
  readonly attached: string | null;
}

function record(flag: Flag, { tokens, found, noun }: Taking, form: Form): void {
  const before = found.get(flag.long);
  const once = flag.takes === "nothing" || flag.takes === "one";
  if (once && before !== undefined && !noun) {
    throw new BpfmanError("USAGE", `"${flagUsage(flag)}" cannot be used multiple times`);
  }
  if (flag.takes === "nothing") {
    found.set(flag.long, isOn(flag, form.attached, noun) ? [form.written] : []);
    return;
  }
  const values = form.attached === null ? following(flag, tokens) : [form.attached];
  if (values.length === 0 || (form.attached === "" && !noun)) {
    throw new BpfmanError("USAGE", `"${form.written}" needs a value: ${flagUsage(flag)}`);
  }
  // What is there has a name. An empty folder would silently stand for another one.
  if (flag.completes !== undefined && !noun && values.includes("")) {
    throw new BpfmanError("USAGE", `"${form.written}" needs a value, but got an empty one: ${flagUsage(flag)}`, {
      hint: "is a variable empty that should hold it?",
    });
  }
  if (flag.takes === "one" && noun && values[0] === "") found.delete(flag.long);
  else if (flag.takes === "one") found.set(flag.long, values);
  else {
    const split = noun ? splitAtCommas : (value: string) => value.split(",");
    found.set(flag.long, [...(before ?? []), ...(flag.takes === "commas" ? values.flatMap(split) : values)]);
  }
}

const ON: readonly string[] = ["true", "yes", "1"];
const OFF: readonly string[] = ["false", "no", "0"];

function isOn(flag: Flag, value: string | null, noun: boolean): boolean {
  if (value === null || (noun && ON.includes(value))) return true;
  if (noun && OFF.includes(value)) return false;
  const may = noun ? "takes true or false" : "takes no value";
  throw new BpfmanError("USAGE", `"--${flag.long}" ${may}, but got "${value}"`);
}

/** `\,` is a comma within a value; nothing behind the last comma is no value. */
function splitAtCommas(text: string): string[] {
  const parts = [""];
  for (const [piece] of text.matchAll(/\\.|./gs)) {
    if (piece === ",") parts.push("");
    else parts.push(`${parts.pop()}${piece === "\\," ? "," : piece}`);
  }
  return parts.at(-1) === "" ? parts.slice(0, -1) : parts;
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
