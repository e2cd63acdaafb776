/** Finds where the values of a request come from, for errors that only the service detects. */
import type { Field } from "../command.ts";
import { argumentUsage } from "../command.ts";
import type { Given } from "./values.ts";

/** The values given for the fields of a command, by field name. */
type Values = Readonly<Record<string, unknown>>;

/** A line and what it gives. */
export interface Line {
  readonly fields: Readonly<Record<string, Field>>;
  readonly values: Values;
  readonly given: Given;
}

/**
 * Returns how the user wrote the value at a path of the request: `--pull-policy`, `-p`, `<IMAGE>`, or the environment
 * variable. Fields are identified by value, since a command can put them anywhere in its request; if that is ambiguous,
 * by the names in the path. Null if the command line does not contain the value.
 */
export function originOf({ fields, values, given }: Line, request: unknown, path: readonly unknown[]): string | null {
  const wrong = path.reduce((value, key) => inside(value, key), request);
  const names = Object.keys(fields).filter((name) => written(fields[name] as Field, given) !== null);
  const holders = names.filter((name) => wrong !== undefined && holds(values[name], wrong));
  const inPath = (name: string): boolean => path.includes(name);
  const name = holders.find(inPath) ?? holders[0] ?? names.find(inPath);
  return name === undefined ? null : written(fields[name] as Field, given);
}

const inside = (value: unknown, key: unknown): unknown =>
  typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>)[String(key)] : undefined;

const holds = (value: unknown, wanted: unknown): boolean =>
  value === wanted ||
  (typeof value === "object" && value !== null && Object.values(value).some((each) => holds(each, wanted)));

/** Returns how a field was typed; null if it was not given. */
function written(field: Field, { options, places, words, env }: Given): string | null {
  const option = options.find((each) => each.field?.long === field.long);
  if (option !== undefined) return option.written;
  const place = places.indexOf(field);
  if (place >= 0) return place < words.length ? argumentUsage({ ...field, required: true }) : null;
  return field.env !== undefined && env[field.env] ? field.env : null;
}
