/** Parses the fields of a command line to typed values with cleye, which reads canonical options and words. */
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

/**
 * Returns what is given for each field. cleye's help and version are disabled, no parameter is required, and it gets no
 * unknown option, so it neither prints nor ends the process.
 */
async function parse(
  fields: Fields,
  { places, words, options, noun }: Omit<Given, "env">,
): Promise<ReadonlyMap<Field, readonly unknown[]>> {
  // Without options and words, cleye need not be loaded.
  if (options.length === 0 && words.length === 0) return new Map();
  const entries = Object.entries(fields);
  const parameters: [name: string, field: Field][] = [];
  for (const place of places) for (const entry of entries) if (entry[1] === place) parameters.push(entry);
  const known = new Map<string, Field>();
  for (const [, field] of entries) if (!places.includes(field)) known.set(field.long, field);
  const own = options.filter(({ field }) => field !== null && known.has(field.long));
  // cleye need not know of options that are not given.
  const named = new Set(own.map(({ field }) => field?.long));
  const flags = [...known.values()].filter(({ long }) => named.has(long));
  if (own.length === 0 && (parameters.length === 0 || words.length === 0)) return new Map();

  const { cli } = await import("cleye");
  const typeOf = (field: Field) => (field.takes === "nothing" ? Boolean : (text: string) => field.parse(text, ""));
  const parsed = cli(
    {
      help: false,
      flags: Object.fromEntries(flags.map((field) => [field.long, { type: [typeOf(field)] as const }])),
      parameters: parameters.map(([name, { takes }]) => `[${name}${takes === "list" ? "..." : ""}]`),
    },
    undefined,
    // Everything after `--` is a word to cleye, even `-5`.
    [...own.map(canonicalWord), "--", ...words],
  );
  const texts = parsed._ as unknown as Readonly<Record<string, string | readonly string[] | undefined>>;
  return new Map([
    ...flags.map((field) => [field, parsed.flags[field.long] as readonly unknown[]] as const),
    ...parameters.map(([name, field]) => {
      const given = [texts[name] ?? []].flat();
      return [field, given.map((text) => field.parse(noun ? inAnyCase(field, text) : text, ""))] as const;
    }),
  ]);
}
