/** Explains an invalid request to its author. The schema library's messages are meant for programmers. */
import type { BaseIssue, GenericSchema } from "valibot";
import { WRONG_VALUE_CHARS_MAX } from "../domain/limits.ts";
import { BpfmanError } from "../errors/error.ts";
import { didYouMean } from "../errors/suggest.ts";
import type { NameOf } from "./operation.ts";

type Issue = BaseIssue<unknown>;

/** Untrusted values can be as long as a JSON-RPC frame; an error quotes only the beginning. */
const cut = (text: string): string =>
  text.length <= WRONG_VALUE_CHARS_MAX ? text : `${text.slice(0, WRONG_VALUE_CHARS_MAX)}…`;

/** Returns INVALID_REQUEST for the first invalid field: what it is called, and what it should be. */
export function requestProblem(schema: GenericSchema, issue: Issue, called: NameOf = pathOf): BpfmanError {
  const { keys, message, hint } = problemOf(schema, issue, (path) => cut(called(path) ?? pathOf(path)));
  return new BpfmanError("INVALID_REQUEST", message, {
    details: { field: cut(called(keys) ?? pathOf(keys)) },
    ...(hint === null ? {} : { hint: cut(hint) }),
  });
}

/** A path as a JSON-RPC caller writes it: `programs.0.type`. */
const pathOf = (keys: Keys): string => (keys.length === 0 ? "(request)" : keys.map(String).join("."));

type Keys = readonly unknown[];
/** Returns the name of a field, by path. */
type Named = (keys: Keys) => string;

interface Problem {
  /** Path of the problem. */
  readonly keys: Keys;
  readonly message: string;
  readonly hint: string | null;
}

function problemOf(schema: GenericSchema, issue: Issue, named: Named): Problem {
  const invalid = (path: Keys, problem: string): string => `invalid value for "${named(path)}": ${problem}`;
  const path = issue.path ?? [];
  const keys = path.map(({ key }) => key);
  const last = path.at(-1);
  // The object in which a field is missing or unknown; otherwise the invalid value.
  const isAboutField = last !== undefined && ["strict_object", "object", "variant"].includes(issue.type);
  const place = { keys: isAboutField ? keys.slice(0, -1) : keys, value: isAboutField ? last.input : issue.input };
  if (isAboutField && Array.isArray(place.value) && place.value.length > 0) {
    return { keys: place.keys, message: invalid(place.keys, "must be an object, not a list"), hint: null };
  }
  const known = fieldsAt(schema, place.keys, path[0]?.input ?? issue.input);
  const misnamed = misnamedIn(place, known, named);
  if (misnamed !== null) return misnamed;
  const words = wordsIn(issue.expected ?? "");
  if (isAboutField && issue.type === "strict_object" && issue.expected === "never") {
    const hint = known.length === 0 ? null : `fields are ${known.join(", ")}`;
    return { keys, message: `unknown field "${named(keys)}"`, hint };
  }
  if (isAboutField && issue.input === undefined) {
    const hint = issue.type === "variant" ? `it is one of ${words.join(", ")}` : null;
    return { keys, message: `field "${named(keys)}" is missing`, hint };
  }
  const hint = words.length > 1 && typeof issue.input === "string" ? didYouMean(cut(issue.input), words) : null;
  return { keys, message: invalid(keys, whatIsWrong(issue, words)), hint };
}

/** How many keys of an object are compared with its fields. */
const NAMES_COMPARED_MAX = 100;

/** Returns the first unknown key of an object that resembles a missing field: `program_id` for `programId`. */
function misnamedIn(
  { keys, value }: { keys: Keys; value: unknown },
  known: readonly string[],
  named: Named,
): Problem | null {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return null;
  const lacking = known.filter((each) => !Object.hasOwn(value, each));
  for (const name of Object.keys(value).slice(0, NAMES_COMPARED_MAX)) {
    const hint = known.includes(name) ? null : didYouMean(cut(name), lacking);
    if (hint !== null) return { keys: [...keys, name], message: `unknown field "${named([...keys, name])}"`, hint };
  }
  return null;
}

/** Returns the schema's own message if it has one, else what it expects; with the value if that fits in a line. */
function whatIsWrong(issue: Issue, words: readonly string[]): string {
  const isGeneral = /^Invalid [a-z0-9 ]+: (Expected|Received) /.test(issue.message);
  const message = isGeneral ? requirement(issue, words) : issue.message;
  const value = cut(issue.received);
  const isTold = !/^("|-?\d)/.test(value) || issue.type === "min_length" || message.includes(value);
  return isTold ? message : `${message}${isGeneral ? ", not" : "; got"} ${value}`;
}

/** Returns the words in `("ingress" | "egress")`. */
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

/** Describes `(string | Array)` in words. */
const typeNamed = ({ expected }: Issue): string =>
  (expected ?? "another value")
    .replaceAll(/[()]/g, "")
    .split(" | ")
    .map((type) => TYPES[type] ?? type)
    .join(" or ");

/** The parts of a schema that are traversed here. */
interface Shape {
  readonly kind: string;
  /** For a variant, the field that selects its option. */
  readonly key?: unknown;
  readonly entries?: Readonly<Record<string, Shape>>;
  readonly literal?: unknown;
  readonly pipe?: readonly Shape[];
  readonly wrapped?: Shape;
  readonly item?: Shape;
  readonly value?: Shape;
  readonly options?: readonly unknown[];
}

const fieldOf = (value: unknown, key: unknown): unknown =>
  typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>)[String(key)] : undefined;

/** Returns the names of the fields allowed in the object at a path of `request`. */
function fieldsAt(schema: GenericSchema, path: Keys, request: unknown): string[] {
  let value = request;
  let shapes = insideOf(schema as Shape, value);
  for (const key of path) {
    value = fieldOf(value, key);
    shapes = shapes.flatMap((shape) => {
      const next = shape.entries?.[String(key)] ?? shape.item ?? shape.value;
      return next === undefined ? [] : insideOf(next, value);
    });
  }
  return [...new Set(shapes.flatMap(({ entries }) => Object.keys(entries ?? {})))];
}

/** Unwraps optional and piped schemas. For a union, returns the options that `value` may be meant for. */
function insideOf(shape: Shape, value: unknown): Shape[] {
  if (shape.wrapped !== undefined) return insideOf(shape.wrapped, value);
  if (shape.options !== undefined) {
    const options = shape.options.filter((option): option is Shape => typeof option === "object");
    const chosen = options.filter(({ entries }) => {
      const own = fieldOf(value, shape.key);
      return own !== undefined && entries?.[String(shape.key)]?.literal === own;
    });
    return (chosen.length > 0 ? chosen : options).flatMap((option) => insideOf(option, value));
  }
  if (shape.pipe === undefined) return [shape];
  return shape.pipe.flatMap((part) => (part.kind === "schema" ? insideOf(part, value) : []));
}
