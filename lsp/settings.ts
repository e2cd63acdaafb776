/** What clients set. Which command starts the process with privileges is not a setting of a workspace. */
import * as v from "valibot";

/** Encoders of languages with one type for lists and tables write `[]` for an empty table. */
const tableOf = <Schema extends v.GenericSchema>(schema: Schema) =>
  v.pipe(
    v.unknown(),
    v.transform((value) => (Array.isArray(value) && value.length === 0 ? {} : (value ?? {}))),
    schema,
  );

/** A wrong value counts as not given: one setting must not take the others with it. */
const settings = tableOf(
  v.object({
    /** Report what the compiler says; false where another language server does. */
    compilerErrors: v.fallback(v.optional(v.boolean()), undefined),
    /** Ask the kernel's verifier. */
    check: v.fallback(v.optional(v.boolean()), undefined),
    codeLens: v.fallback(v.optional(v.boolean()), undefined),
    /** How long to wait for further saves of a file. */
    debounceMs: v.fallback(v.optional(v.pipe(v.number(), v.minValue(0), v.maxValue(60_000))), undefined),
  }),
);
const options = tableOf(
  v.object({
    /** Starts `bpfman rpc` with the privileges to check and to load. */
    command: v.fallback(v.optional(v.nullable(v.pipe(v.array(v.string()), v.minLength(1)))), undefined),
    /** False: the sources are not to be trusted, so nothing is compiled. */
    trusted: v.fallback(v.optional(v.boolean()), undefined),
  }),
);

export interface Settings {
  readonly compilerErrors: boolean;
  readonly check: boolean;
  readonly codeLens: boolean;
  readonly debounceMs: number;
}

export const SETTINGS_DEFAULT: Settings = { compilerErrors: true, check: true, codeLens: true, debounceMs: 50 };

/** Reads settings, as they are or below `bpfman`; what is not given is as in `others`. */
export function readSettings(given: unknown, others: Settings): Settings {
  const { bpfman } = (given ?? {}) as { readonly bpfman?: unknown };
  const read = v.safeParse(settings, bpfman ?? given);
  if (!read.success) return others;
  const set = Object.entries(read.output).filter(([, value]) => value !== undefined);
  return { ...others, ...Object.fromEntries(set) };
}

/** Reads `initializationOptions`, and the params of `bpfman/didChangeTrust`. */
export function readOptions(given: unknown): v.InferOutput<typeof options> {
  const read = v.safeParse(options, given);
  return read.success ? read.output : {};
}
