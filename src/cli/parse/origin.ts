/** Where the values of a request come from: for errors that only the service finds. */
import type { Field } from "../command.ts";
import { argumentUsage } from "../command.ts";
import type { Given } from "./values.ts";

/** What was given for each field of a command, under its name. */
type Values = Readonly<Record<string, unknown>>;

interface Line {
  readonly fields: Readonly<Record<string, Field>>;
  readonly values: Values;
  readonly given: Given;
}

/**
 * What the user wrote the value at a path of the request with: `--pull-policy`, `-p`, `<IMAGE>`, or the environment
 * variable. Values are told by what they are, since a command may put them anywhere in its request; where that leaves a
 * choice, by the names in the path. Null where nothing on the line says it.
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

/** How a field was given, as typed; null when it was not. */
function written(field: Field, { options, places, words, env }: Given): string | null {
  const option = options.find((each) => each.field?.long === field.long);
  if (option !== undefined) return option.written;
  const place = places.indexOf(field);
  if (place >= 0) return place < words.length ? argumentUsage({ ...field, required: true }) : null;
  return field.env !== undefined && env[field.env] ? field.env : null;
}
