import { BpfmanError } from "../../errors/error.ts";

/** The same in the noun-verb grammar: `0x` and blanks may stand before the digits, and the last value of a name counts. */
export const parseNounGlobals = (texts: readonly string[]): Readonly<Record<string, string>> =>
  Object.fromEntries(
    texts.map((text) => {
      const [name = "", ...rest] = text.split("=");
      const hex = rest
        .join("=")
        .trim()
        .replace(/^0[xX](?=.)/, "");
      return parseGlobal(rest.length === 0 ? text : `${name.trim()}=${hex}`);
    }),
  );

/** `--global` values NAME=HEX: hex digits by name, as written. Throws INVALID_GLOBAL. */
export function parseGlobals(texts: readonly string[]): Readonly<Record<string, string>> {
  const globals = new Map<string, string>();
  for (const text of texts) {
    const [name, hex] = parseGlobal(text);
    if (globals.has(name)) throw new BpfmanError("INVALID_GLOBAL", `global "${name}" is given more than once`);
    globals.set(name, hex);
  }
  return Object.fromEntries(globals);
}

function parseGlobal(text: string): [name: string, hex: string] {
  const wrong = (why: string, hint?: string): BpfmanError =>
    new BpfmanError("INVALID_GLOBAL", `invalid global "${text}": ${why}`, hint === undefined ? {} : { hint });

  const equals = text.indexOf("=");
  if (equals < 0) throw wrong("must be NAME=HEX, as in LIMIT=0A000000");
  const [name, hex] = [text.slice(0, equals), text.slice(equals + 1)];
  if (name === "") throw wrong("the name is missing; must be NAME=HEX");
  if (hex === "") throw wrong("the value is missing; must be NAME=HEX");
  if (/^0[xX]/.test(hex)) throw wrong("hex digits are written without 0x", `write "${name}=${hex.slice(2)}"`);
  const foreign = /[^0-9a-fA-F]/u.exec(hex);
  if (foreign !== null) throw wrong(`"${foreign[0]}" is no hex digit`);
  if (hex.length % 2 === 1) {
    throw wrong(
      `${hex.length} hex digits are no whole number of bytes`,
      "write two digits for each byte of the variable",
    );
  }
  return [name, hex];
}
