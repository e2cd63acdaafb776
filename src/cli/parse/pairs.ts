/** Parses KEY=VALUE and NAME=HEX pairs, and programs as TYPE:NAME. */
import { KINDS, PROGRAM_TYPES, type ProgramType } from "../../domain/kinds.ts";
import type { Metadata, ProgramSelector } from "../../domain/program.ts";
import type { ErrorCode } from "../../errors/codes.ts";
import { BpfmanError } from "../../errors/error.ts";
import { parseJsonWord } from "./json-word.ts";
import { oneOf, parseEntries, parseMapId } from "./word.ts";

export type Pair<Value = string> = readonly [name: string, value: Value];

/** Returns all pairs, of which the last with a key wins, as in the noun-verb grammar. */
export const lastOfEach = <Value>(pairs: readonly Pair<Value>[]): Readonly<Record<string, Value>> =>
  Object.fromEntries(pairs);

/** Parses a metadata pair, split at the first `=`. Throws INVALID_METADATA. */
export function parseMetadata(text: string): Pair {
  const equals = text.indexOf("=");
  if (equals >= 1) return [text.slice(0, equals), text.slice(equals + 1)];
  const [, before, after] = /^([^:=]+):([^:=]+)$/.exec(text) ?? [];
  throw new BpfmanError("INVALID_METADATA", `invalid metadata "${text}": must be KEY=VALUE`, {
    hint: before === undefined ? null : `write "${before}=${after}"`,
  });
}

/** In the noun-verb grammar, spaces around a key are ignored. */
export const parseNounMetadata = (text: string): Pair =>
  parseMetadata(text.replace(/^([^=]*)=/, (_, key: string) => `${key.trim()}=`));

/** Returns a function that merges pairs. A name with two different values is an error with that code. */
const merging =
  (what: string, code: ErrorCode) =>
  <Value>(pairs: readonly (readonly [name: string, Value])[]): Readonly<Record<string, Value>> => {
    const values = new Map<string, Value>();
    for (const [name, value] of pairs) {
      const before = values.get(name);
      if (before !== undefined && before !== value) {
        throw new BpfmanError(code, `${what} "${name}" is given twice: "${before}" and "${value}"`);
      }
      values.set(name, value);
    }
    return Object.fromEntries(values);
  };

export const gatherMetadata = merging("metadata key", "INVALID_METADATA");
export const gatherMaps = merging("map", "USAGE");

/** Parses `--global` values NAME=HEX; keeps the hex digits as written. Throws INVALID_GLOBAL. */
export function parseGlobal(text: string): Pair {
  const wrong = (why: string, hint: string | null = null): BpfmanError =>
    new BpfmanError("INVALID_GLOBAL", `invalid global "${text}": ${why}`, { hint });

  const equals = text.indexOf("=");
  if (equals < 0) throw wrong("must be NAME=HEX, as in LIMIT=0A000000");
  const [name, hex] = [text.slice(0, equals), text.slice(equals + 1)];
  if (name === "") throw wrong("the name is missing; must be NAME=HEX");
  if (hex === "") throw wrong("the value is missing; must be NAME=HEX");
  if (/^0[xX]/.test(hex)) throw wrong("hex digits are written without 0x", `write "${name}=${hex.slice(2)}"`);
  const foreign = /[^0-9a-fA-F]/u.exec(hex);
  if (foreign !== null)
    throw wrong(`"${foreign[0]}" is not a hex digit`, `to give a value, type "--set ${name}=VALUE"`);
  if (hex.length % 2 === 1) {
    throw wrong(
      "an odd number of hex digits; each byte takes two",
      `write two digits for each byte of the variable; or to give a value, type "--set ${name}=${hex}"`,
    );
  }
  return [name, hex];
}

/** Parses `--set` values NAME=VALUE. Throws INVALID_GLOBAL, USAGE. */
export function parseSetGlobal(text: string): Pair<unknown> {
  const equals = text.indexOf("=");
  const name = text.slice(0, equals).trim();
  if (equals >= 0 && name !== "") return [name, parseJsonWord(text.slice(equals + 1), `value of global "${name}"`)];
  throw new BpfmanError("INVALID_GLOBAL", `invalid global "${text}": must be NAME=VALUE, as in LIMIT=10`);
}

/** NAME and VALUE of `--OPTION NAME=VALUE`, split at the first `=`. Throws USAGE. */
function parseNamed(text: string, option: string, value: string): Pair {
  const equals = text.indexOf("=");
  if (equals >= 1 && equals < text.length - 1) return [text.slice(0, equals), text.slice(equals + 1)];
  throw new BpfmanError("USAGE", `invalid --${option} "${text}": must be NAME=${value}`);
}

/** `--map` values NAME=PIN or NAME=ID; a path of digits alone is written with `./`. Throws USAGE. */
export function parseMapSource(text: string): readonly [string, string | number] {
  const [name, source] = parseNamed(text, "map", "PIN or NAME=ID");
  return [name, /^\d+$/.test(source) ? parseMapId(source) : source];
}

/** `--map-entries` values NAME=N. Throws USAGE. */
export function parseMapEntries(text: string): readonly [string, number] {
  const [name, entries] = parseNamed(text, "map-entries", "N");
  return [name, parseEntries(entries)];
}

/** In the noun-verb grammar, `0x` and spaces may precede the digits. */
export function parseNounGlobal(text: string): Pair {
  const [name = "", ...rest] = text.split("=");
  const hex = rest
    .join("=")
    .trim()
    .replace(/^0[xX](?=.)/, "");
  return parseGlobal(rest.length === 0 ? text : `${name.trim()}=${hex}`);
}

/** Throws INVALID_GLOBAL if a name is given twice. */
export function gatherGlobals<Value>(pairs: readonly Pair<Value>[]): Readonly<Record<string, Value>> {
  const globals = new Map<string, Value>();
  for (const [name, value] of pairs) {
    if (globals.has(name)) throw new BpfmanError("INVALID_GLOBAL", `global "${name}" is given more than once`);
    globals.set(name, value);
  }
  return Object.fromEntries(globals);
}

const shapeOf = (type: ProgramType): string =>
  type === "freplace"
    ? `${type}:NAME:PROGRAM[/FUNCTION]`
    : KINDS[type].needsFunction
      ? `${type}:NAME[:FUNCTION]`
      : `${type}:NAME`;

/**
 * Parses a `--programs` value: NAME, TYPE:NAME, or for kinds that are bound to a function when they are loaded,
 * TYPE:NAME:FUNCTION. What is left out is null. Throws INVALID_PROGRAM.
 */
export function parseSelector(text: string): ProgramSelector {
  const parts = text.split(":");
  const type = parts.length === 1 ? null : oneOf("program type", PROGRAM_TYPES, "INVALID_PROGRAM")(parts[0] ?? "");
  const [name = "", attachFunction = null, ...rest] = type === null ? parts : parts.slice(1);
  const wrong = (why: string, hint: string | null = null): BpfmanError =>
    new BpfmanError("INVALID_PROGRAM", `invalid program "${text}": ${why}`, { hint });

  const shape = type === null ? "NAME or TYPE:NAME" : shapeOf(type);
  if (name === "") throw wrong(`the name is missing; must be ${shape}`);
  if (type === null && /\/|\.o$/.test(name)) throw wrong(`it looks like a file; must be ${shape}`);
  if (name.includes(",")) throw wrong("a name cannot contain a comma", "separate several programs with spaces");
  if (attachFunction !== null && type !== null && !KINDS[type].needsFunction)
    throw wrong(`${type} takes no function at load; must be ${shape}`);
  if (attachFunction === "") throw wrong(`the function is missing; must be ${shape}`);
  if (rest.length > 0) throw wrong(`too many parts; must be ${shape}`);
  return { type, name, attachFunction };
}

/** In the noun-verb grammar, spaces around the parts are ignored. */
export const parseNounSelector = (text: string): ProgramSelector =>
  parseSelector(
    text
      .split(":")
      .map((part) => part.trim())
      .join(":"),
  );

/** The metadata key with a program's actual type, for tools that do not know return probes. */
const actualTypeKey = (name: string): string => `bpfman.io/actual-type:${name}`;

const isReturnProbe = (type: ProgramType | null): boolean => type === "kretprobe" || type === "uretprobe";

/**
 * Settles a selector's type for the noun-verb grammar. Requesting a return probe creates one even if the section does
 * not say so; the metadata override everything. Throws INVALID_PROGRAM.
 */
export function settleType(asked: ProgramSelector, metadata: Metadata): ProgramSelector {
  const override = metadata[actualTypeKey(asked.name)];
  const actualType =
    override === undefined ? null : oneOf("actual program type", PROGRAM_TYPES, "INVALID_PROGRAM")(override);
  const settled = actualType ?? (isReturnProbe(asked.type) ? asked.type : null);
  return settled === null ? asked : { ...asked, actualType: settled };
}
