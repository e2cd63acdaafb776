/** Parses the fields of a command line to typed values: words by their places, canonical options with cleye. */
import type { Completion, Field, Fields, Values } from "../command.ts";
import { canonicalWord, inAnyCase, type Option } from "./canonical.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** The contents of a line: only known options, and no more words than there are fields for. */
export interface Given {
  /** The fields that words belong to, in order. The last one may take several. */
  readonly places: readonly Field[];
  readonly words: readonly string[];
  readonly options: readonly Option[];
  readonly noun: boolean;
  readonly env: Environment;
}

/** Returns the last value of the field with that completion, given as an option or as a word. */
export function givenFor(
  { options, places, words }: Pick<Given, "options" | "places" | "words">,
  completes: Completion,
): string | null {
  const option = options.findLast(({ field }) => field?.completes === completes);
  return (
    (option === undefined ? words[places.findIndex((place) => place.completes === completes)] : option.value) || null
  );
}

/**
 * Returns the values of these fields. An option that is not given takes its environment variable's value unless that is
 * empty. Throws the errors of the fields' parsers.
 */
export async function readValues<F extends Fields>(fields: F, { env, ...given }: Given): Promise<Values<F>> {
  const parsed = await parse(fields, given);
  const values: Record<string, unknown> = {};
  for (const [name, field] of Object.entries<Field>(fields)) {
    const items = parsed.get(field) ?? [];
    const stated = field.env === undefined ? undefined : env[field.env];
    values[name] = field.gather(items.length === 0 && stated ? [field.parse(stated, ` in ${field.env}`)] : items);
  }
  return values as Values<F>;
}

/** Returns what is given for each field. Words are in order, so they alone need no library. */
async function parse(
  fields: Fields,
  { places, words, options, noun }: Omit<Given, "env">,
): Promise<ReadonlyMap<Field, readonly unknown[]>> {
  const parsed = new Map<Field, readonly unknown[]>();
  const all = Object.values(fields);
  // cleye need not know of options that are not given.
  const flags =
    options.length === 0
      ? []
      : all.filter((each) => !places.includes(each) && options.some(({ field }) => field?.long === each.long));
  if (flags.length > 0) await parseOptions(flags, options, parsed);
  if (words.length === 0) return parsed;
  let at = 0;
  for (const place of places) {
    if (!all.includes(place)) continue;
    const texts = words.slice(at, place.takes === "list" ? words.length : at + 1);
    at++;
    const items = texts.map((text) => place.parse(noun ? inAnyCase(place, text) : text, ""));
    parsed.set(place, items);
  }
  return parsed;
}

/**
 * Adds what is given for options that are. cleye's help and version are disabled, and it gets no unknown option, so it
 * neither prints nor ends the process.
 */
async function parseOptions(
  flags: readonly Field[],
  options: readonly Option[],
  parsed: Map<Field, readonly unknown[]>,
): Promise<void> {
  const { cli } = await import("cleye");
  const typeOf = (field: Field) => (field.takes === "nothing" ? Boolean : (text: string) => field.parse(text, ""));
  const types = Object.fromEntries(flags.map((field) => [field.long, { type: [typeOf(field)] as const }]));
  const own = options.filter(({ field }) => field !== null && Object.hasOwn(types, field.long));
  const { flags: values } = cli({ help: false, flags: types }, undefined, own.map(canonicalWord));
  for (const field of flags) parsed.set(field, values[field.long] as readonly unknown[]);
}
