/**
 * Evaluates constants while the executable is made, since a command pays for each that its modules define: as much for an
 * exported number as for a call, and a thousand instructions for each property of a table.
 */
import { readFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";

export interface Constants {
  /** Returns the source of a module, in which numbers are not imported, and tables are JSON. */
  read(path: string): string;
  /** What the names of numbers mean to the bundler. */
  readonly define: Readonly<Record<string, string>>;
}

/** A constant at the top level, as biome formats it: the last line is the first that is not indented and ends the statement. */
const CONSTANT = /^export const (\w+)(?:: .*?)? = (?:.*;|.*\n(?:[ }].*\n|\n)*?\S.*;)$/gm;

/** Parses those values that are text when they are looked at first, since a command looks at few. */
const PARSING = `const parsing = {
  get: (table, name) => (typeof table[name] === "string" ? (table[name] = JSON.parse(table[name])) : table[name]),
};
`;

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;

const isData = (value: unknown): value is object =>
  isObject(value) && isDeepStrictEqual(JSON.parse(JSON.stringify(value)), value);

/** Returns an expression for a table, for less than what making its objects one by one costs. */
function expressionFor(table: object): string {
  const values = Object.entries(table).map(([name, value]) => [name, isObject(value) ? JSON.stringify(value) : value]);
  if (Array.isArray(table) && !table.some(isObject)) return JSON.stringify(table);
  const isMixed = Object.values(table).some((value) => typeof value === "string");
  if (Array.isArray(table) || isMixed || !Object.values(table).some(isObject)) {
    return `JSON.parse(${JSON.stringify(JSON.stringify(table))})`;
  }
  return `new Proxy(${JSON.stringify(Object.fromEntries(values))}, parsing)`;
}

/** `numbers` has nothing but exported numbers; exports of `tables` that are more than data stay as they are. */
export async function constantsOf(numbers: string, tables: readonly string[]): Promise<Constants> {
  const importOfNumbers = new RegExp(`^import \\{[^}]*\\} from "[^"]*/${numbers.split("/").at(-1)}";$`, "gm");
  const values = new Map<string, Readonly<Record<string, unknown>>>();
  for (const path of tables) values.set(path, await import(path));
  return {
    read(path) {
      const source = readFileSync(path, "utf8").replaceAll(importOfNumbers, "");
      const exports = values.get(path);
      if (exports === undefined) return source;
      const replaced = source.replaceAll(CONSTANT, (all, name) => {
        const value = exports[name];
        return isData(value) ? `export const ${name} = ${expressionFor(value)};` : all;
      });
      return PARSING + replaced;
    },
    define: Object.fromEntries(Object.entries(await import(numbers)).map(([name, value]) => [name, String(value)])),
  };
}
