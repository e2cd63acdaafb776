import { parse, TomlError } from "smol-toml";
import * as v from "valibot";
import { ALONE_MODES, CONFIG_DEFAULT, type Config, MAP_ACCESS_DEFAULT, XDP_MODES } from "../domain/config.ts";
import { ID_MAX, INTERFACE_CHARS_MAX } from "../domain/limits.ts";
import { BpfmanError } from "../errors/error.ts";
import { didYouMean } from "../errors/suggest.ts";
import { type Locate, locator, type Place, placeAt } from "./place.ts";
import { signing, signingConfig, signingKeys } from "./signing.ts";

// Each of these completes the sentence "KEY must be …".
const A_TABLE = "a table";
const COUNT = "a whole number from 0";
const count = v.pipe(v.number(COUNT), v.safeInteger(COUNT), v.minValue(0, COUNT));
const INTERFACE = `named with 1 to ${INTERFACE_CHARS_MAX} characters, as interfaces are`;
const interfaceName = v.pipe(v.string(), v.minLength(1, INTERFACE), v.maxLength(INTERFACE_CHARS_MAX, INTERFACE));
const xdpMode = v.picklist(XDP_MODES, XDP_MODES.map((mode) => `"${mode}"`).join(" or "));
const enabled = v.boolean("true or false");
const alone = v.picklist(ALONE_MODES, ALONE_MODES.map((mode) => `"${mode}"`).join(" or "));

const GROUP = "the name of a group, or its number";
const group = v.union(
  [v.pipe(v.string(), v.minLength(1)), v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(ID_MAX))],
  GROUP,
);
/** With a group, what `chmod` of a pin by hand would be; nobody else gets to write. */
const MODE = 'three octal digits in quotes, as in "0640", of which the last one lets nobody write';
const MODE_OF_GROUP = 0o660;
const mode = v.pipe(
  v.string(MODE),
  v.regex(/^0?[0-7][0-7][0145]$/, MODE),
  v.transform((digits) => Number.parseInt(digits, 8) | MAP_ACCESS_DEFAULT.mode),
);

const file = v.strictObject(
  {
    interfaces: v.optional(
      v.record(interfaceName, v.strictObject({ xdp_mode: v.optional(xdpMode, "drv") }, A_TABLE), A_TABLE),
      {},
    ),
    signing: v.optional(signing, {}),
    dispatcher: v.optional(v.strictObject({ alone: v.optional(alone, CONFIG_DEFAULT.dispatcher.alone) }, A_TABLE), {}),
    maps: v.optional(v.strictObject({ group: v.optional(group), mode: v.optional(mode) }, A_TABLE), {}),
    restore: v.optional(v.strictObject({ enabled: v.optional(enabled, false) }, A_TABLE), {}),
    database: v.optional(
      v.strictObject(
        {
          max_retries: v.optional(count, CONFIG_DEFAULT.database.maxRetries),
          millisec_delay: v.optional(count, CONFIG_DEFAULT.database.millisecDelay),
        },
        A_TABLE,
      ),
      {},
    ),
  },
  A_TABLE,
);

/** Parses the bytes of a TOML configuration file. Throws INVALID_CONFIG with path, line and column. */
export function parseConfig(bytes: Uint8Array, path: string): Config {
  const text = decoded(bytes, path);
  const result = v.safeParse(file, table(text, path));
  if (!result.success) {
    const locate = locator(text);
    // A missing key is often present but misspelt; that problem is more specific.
    const present = result.issues.filter((issue) => !isMissing(issue));
    const problems = (present.length > 0 ? present : result.issues).map((issue) => problemOf(issue, locate));
    // Report the first problem in the file.
    const first = problems.reduce((one, other) => (other.offset < one.offset ? other : one));
    throw invalid(path, placeAt(text, first.offset), first);
  }
  const { interfaces, database, dispatcher, maps, restore } = result.output;
  return {
    interfaces: new Map(Object.entries(interfaces).map(([name, { xdp_mode }]) => [name, { xdpMode: xdp_mode }])),
    signing: signingConfig(result.output.signing),
    dispatcher,
    maps: {
      group: maps.group ?? null,
      mode: maps.mode ?? (maps.group === undefined ? MAP_ACCESS_DEFAULT.mode : MODE_OF_GROUP),
    },
    restore,
    database: { maxRetries: database.max_retries, millisecDelay: database.millisec_delay },
  };
}

interface Problem {
  readonly reason: string;
  readonly hint?: string;
}

function decoded(bytes: Uint8Array, path: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    const text = Buffer.from(bytes).toString("utf8");
    const place = placeAt(text, text.indexOf("\u{fffd}"));
    throw invalid(path, place, { reason: "the file is not written in UTF-8" });
  }
}

function table(text: string, path: string): unknown {
  try {
    return parse(text, { unsafeKeyBehaviour: "throw" });
  } catch (thrown) {
    if (!(thrown instanceof TomlError)) throw thrown;
    // The parser's message continues with an excerpt of the line, which the position already identifies.
    const reason = (thrown.message.split("\n")[0] ?? "").replace(/^Invalid TOML document: /, "");
    throw invalid(path, thrown, { reason });
  }
}

const isMissing = (issue: v.InferIssue<typeof file>): boolean =>
  issue.type === "strict_object" && issue.received === "undefined";

function problemOf(issue: v.InferIssue<typeof file>, locate: Locate): Problem & { readonly offset: number } {
  const keys = (issue.path ?? []).map((item) => String(item.key));
  const isUnknown = issue.type === "strict_object" && issue.expected === "never";
  const wrong = (wanted: string, found: string): string => `"${keys.join(".")}" must be ${wanted}, not ${found}`;
  // A failed check reports the whole table as the value, whose type would mean nothing to the user.
  if (issue.type === "check") return { offset: locate(keys), reason: `"${keys.join(".")}" must ${issue.message}` };
  if (isMissing(issue)) return { offset: locate(keys), reason: `"${keys.join(".")}" is missing` };
  if (!isUnknown) return { offset: locate(keys), reason: wrong(issue.message, issue.received) };
  const key = keys.pop() ?? "";
  // To the schema, an array is an object with numeric keys.
  if (Array.isArray(issue.path?.at(-1)?.input)) return { offset: locate(keys), reason: wrong(A_TABLE, "an array") };
  const known = knownKeys(keys);
  return {
    offset: locate([...keys, key]),
    reason: `unknown key "${[...keys, key].join(".")}"`,
    hint: didYouMean(key, known) ?? `known keys here: ${known.join(", ")}`,
  };
}

/** Returns the keys that the schema allows below `keys`. */
function knownKeys(keys: readonly string[]): string[] {
  const [section, subsection] = keys;
  switch (section) {
    case undefined:
      return Object.keys(file.entries);
    case "interfaces":
      return Object.keys(file.entries.interfaces.wrapped.value.entries);
    case "signing":
      return signingKeys(subsection);
    case "dispatcher":
      return Object.keys(file.entries.dispatcher.wrapped.entries);
    case "restore":
      return Object.keys(file.entries.restore.wrapped.entries);
    case "maps":
      return Object.keys(file.entries.maps.wrapped.entries);
    default:
      return Object.keys(file.entries.database.wrapped.entries);
  }
}

function invalid(path: string, { line, column }: Place, { reason, hint }: Problem): BpfmanError {
  return new BpfmanError("INVALID_CONFIG", `read configuration "${path}": line ${line}, column ${column}: ${reason}`, {
    details: { path, line, column },
    ...(hint === undefined ? {} : { hint }),
  });
}
