/** What is wrong with a request, in words for whoever wrote it: the schema library's own are for programmers. */
import { type BaseIssue, type GenericSchema, getDotPath } from "valibot";
import { WRONG_VALUE_CHARS_MAX } from "../domain/limits.ts";
import { BpfmanError } from "../errors/error.ts";
import { didYouMean, nearest } from "../errors/suggest.ts";

type Issue = BaseIssue<unknown>;

/** What came from outside may be as long as a frame of the JSON-RPC server; an error repeats only its beginning. */
const cut = (text: string): string =>
  text.length <= WRONG_VALUE_CHARS_MAX ? text : `${text.slice(0, WRONG_VALUE_CHARS_MAX)}…`;

/** INVALID_REQUEST with the path of the first wrong field, and what it should be. */
export function requestProblem(schema: GenericSchema, issue: Issue): BpfmanError {
  const field = cut(getDotPath(issue) ?? "(request)");
  const { message, hint } = problemOf(schema, issue, field);
  return new BpfmanError("INVALID_REQUEST", cut(message), {
    details: { field, expected: issue.expected, received: cut(issue.received) },
    ...(hint === null ? {} : { hint: cut(hint) }),
  });
}

interface Problem {
  readonly message: string;
  readonly hint: string | null;
}

function problemOf(schema: GenericSchema, issue: Issue, field: string): Problem {
  const keys = (issue.path ?? []).map(({ key }) => key);
  const name = String(keys.at(-1));
  if (issue.type === "strict_object" && issue.expected === "never") {
    const known = fieldsAt(schema, keys.slice(0, -1));
    const hint = didYouMean(cut(name), known) ?? `fields are ${known.join(", ")}`;
    return { message: `unknown field "${field}"`, hint: known.length === 0 ? null : hint };
  }
  if (issue.type === "strict_object" && issue.received === "undefined" && keys.length > 0) {
    const given = Object.keys(issue.path?.at(-1)?.input ?? {});
    const [near] = nearest(name, given.slice(0, 100).map(cut), 1);
    return { message: `field "${field}" is missing`, hint: near === undefined ? null : `"${near}" is no field of it` };
  }
  const words = wordsIn(issue.expected ?? "");
  const hint = words.length > 1 && typeof issue.input === "string" ? didYouMean(cut(issue.input), words) : null;
  return { message: `invalid value for "${field}": ${whatIsWrong(issue, words)}`, hint };
}

/** The schema's own sentence where it has one, or what it asks for; with the value, if that fits into a line. */
function whatIsWrong(issue: Issue, words: readonly string[]): string {
  const isGeneral = /^Invalid [a-z0-9 ]+: (Expected|Received) /.test(issue.message);
  const message = isGeneral ? requirement(issue, words) : issue.message;
  const value = cut(issue.received);
  const isTold = !/^("|-?\d)/.test(value) || issue.type === "min_length" || message.includes(value);
  return isTold ? message : `${message}${isGeneral ? ", not" : "; got"} ${value}`;
}

/** The words of `("ingress" | "egress")`. */
const wordsIn = (expected: string): string[] => [...expected.matchAll(/"([^"]*)"/g)].map(([, word = ""]) => word);

const TYPES: Readonly<Record<string, string>> = {
  string: "text",
  number: "a number",
  boolean: "true or false",
  Array: "a list",
  Object: "an object",
};

function requirement(issue: Issue, words: readonly string[]): string {
  const limit = String(issue.requirement);
  const things = Array.isArray(issue.input) ? "entries" : "characters";
  switch (issue.type) {
    case "min_length":
      return limit === "1" ? "must not be empty" : `must have at least ${limit} ${things}`;
    case "max_length":
      return `must have at most ${limit} ${things}`;
    case "min_value":
      return `must be at least ${limit}`;
    case "max_value":
      return `must be at most ${limit}`;
    case "integer":
      return "must be a whole number";
    case "base64":
      return "must be base64";
    default:
      return `must be ${words.length > 0 ? `${words.length > 1 ? "one of " : ""}${words.join(", ")}` : typeNamed(issue)}`;
  }
}

/** `(string | Array)` in words. */
const typeNamed = ({ expected }: Issue): string =>
  (expected ?? "another value")
    .replaceAll(/[()]/g, "")
    .split(" | ")
    .map((type) => TYPES[type] ?? type)
    .join(" or ");

/** A schema as far as it is walked here. */
interface Shape {
  readonly entries?: Readonly<Record<string, Shape>>;
  readonly pipe?: readonly Shape[];
  readonly wrapped?: Shape;
  readonly item?: Shape;
  readonly value?: Shape;
  readonly options?: readonly unknown[];
}

/** Names of the fields of the object at `path`. */
function fieldsAt(schema: GenericSchema, path: readonly unknown[]): string[] {
  let shapes = insideOf(schema as Shape);
  for (const key of path) {
    shapes = shapes.flatMap((shape) => {
      const next = shape.entries?.[String(key)] ?? shape.item ?? shape.value;
      return next === undefined ? [] : insideOf(next);
    });
  }
  return [...new Set(shapes.flatMap(({ entries }) => Object.keys(entries ?? {})))];
}

/** The schema without what may be missing or is checked afterwards; each of several where one of them is meant. */
function insideOf(shape: Shape): Shape[] {
  if (shape.wrapped !== undefined) return insideOf(shape.wrapped);
  if (shape.options !== undefined) {
    return shape.options.flatMap((option) => (typeof option === "object" ? insideOf(option as Shape) : []));
  }
  const [first] = shape.pipe ?? [];
  return first === undefined || first === shape ? [shape] : insideOf(first);
}
