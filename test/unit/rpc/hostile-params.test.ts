/**
 * Every field of every request schema, with values that nobody should send: errors are written for people, and what an
 * encoder or a habit makes of a valid request is accepted or corrected.
 */
import { describe, expect, test } from "bun:test";
import { toJsonSchema } from "@valibot/to-json-schema";
import type { GenericSchema } from "valibot";
import { SESSION_SCHEMAS, setTraceParams, workDoneToken } from "../../../rpc/schemas.ts";
import { BpfmanError } from "../../../src/errors/error.ts";
import { OPERATIONS, type OperationName } from "../../../src/service/operations.ts";
import { parseRequest } from "../../../src/service/parse-request.ts";

/** A JSON Schema as far as requests need it. */
interface Node {
  readonly type?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly pattern?: string;
  readonly minimum?: number;
  readonly properties?: Readonly<Record<string, Node>>;
  readonly required?: readonly string[];
  readonly items?: Node;
  readonly additionalProperties?: Node | boolean;
  readonly anyOf?: readonly Node[];
  readonly oneOf?: readonly Node[];
}

/** A place in a request: the node that belongs there, and the request with a value of one's choice there. */
interface Place {
  readonly path: string;
  readonly node: Node;
  readonly filled: (value: unknown) => unknown;
}

const choicesOf = (node: Node): readonly Node[] => node.anyOf ?? node.oneOf ?? [];

/** Something that the schema takes, or nearly. */
function sample(node: Node): unknown {
  if (node.const !== undefined) return node.const;
  if (node.enum !== undefined) return node.enum[0];
  const [choice] = choicesOf(node);
  if (choice !== undefined) return sample(choice);
  if (node.type === "object") return sampleObject(node);
  if (node.type === "array") return node.items === undefined ? [] : [sample(node.items)];
  if (node.type === "integer" || node.type === "number") return node.minimum ?? 1;
  if (node.type === "boolean") return true;
  return node.pattern?.startsWith("^(\\/") === true ? "/aa/aa" : "aa";
}

function sampleObject({ properties = {}, required = [] }: Node): Record<string, unknown> {
  // Of several that exclude each other one is needed, which a JSON Schema does not say.
  if (required.length === 0 && properties.file !== undefined) return { file: "aa" };
  return Object.fromEntries(required.map((name) => [name, sample(properties[name] ?? {})]));
}

function placesIn(node: Node, path = "", filled: Place["filled"] = (value) => value): Place[] {
  const here = { path, node, filled };
  const choices = choicesOf(node).flatMap((choice) => placesIn(choice, path, filled));
  const fields = Object.entries(node.properties ?? {}).flatMap(([name, inner]) =>
    placesIn(inner, `${path}.${name}`, (value) => filled({ ...sampleObject(node), [name]: value })),
  );
  const { items, additionalProperties: values } = node;
  const entries = items === undefined ? [] : placesIn(items, `${path}.0`, (value) => filled([value]));
  const rows = typeof values === "object" ? placesIn(values, `${path}.KEY`, (value) => filled({ KEY: value })) : [];
  return [here, ...choices, ...fields, ...entries, ...rows];
}

interface Params {
  readonly name: string;
  readonly schema: GenericSchema;
  readonly places: readonly Place[];
}

const SCHEMAS: readonly (readonly [string, GenericSchema])[] = [
  ...Object.entries(SESSION_SCHEMAS),
  ["$/setTrace", setTraceParams],
  ["workDoneToken", workDoneToken],
  ...(await Promise.all(
    (Object.keys(OPERATIONS) as OperationName[]).map(async (name) => {
      const { implementation } = await OPERATIONS[name].module();
      return [name, implementation.request as GenericSchema] as const;
    }),
  )),
];
const ALL: readonly Params[] = SCHEMAS.map(([name, schema]) => {
  const root = toJsonSchema(schema, { typeMode: "output", ignoreActions: ["check", "transform"] }) as Node;
  return { name, schema, places: placesIn(root) };
});
const METHODS = ALL.map((params) => [params.name, params] as const);

/** What is said of a request, or what it is taken for. */
function outcome(schema: GenericSchema, request: unknown): { readonly error?: BpfmanError; readonly value?: unknown } {
  try {
    return { value: parseRequest(schema, request) };
  } catch (error) {
    if (!(error instanceof BpfmanError)) throw error;
    return { error };
  }
}

const HOSTILE: readonly unknown[] = [
  ...[null, undefined, true, false, "", "x", "\0", "x".repeat(100_000)],
  ...[0, -1, 1.5, 2 ** 31, 2 ** 53, -(2 ** 53), 1e308, Number.NaN, Number.POSITIVE_INFINITY],
  ...[{}, { x: 1 }, { length: 1 }, { kind: null }, { base64: 7 }, { base64: "%" }, { file: 1, image: 1 }],
  ...[[], [null], [1], ["x"], [[]], [{}], Array(2000).fill("x")],
  ...[Symbol.iterator, () => 1, 10n, new Date(0)],
];

/** How the schema library and JavaScript speak of values. */
const LIBRARY =
  /\bnever\b|\b[Ee]xpected\b|\bReceived\b|Invalid |\bObject\b|Array|undefined|NaN|null\b| \| |unknown(?! field)|symbol|bigint|\bFunction\b|\[object/;

describe("hostile values give errors that people can read", () => {
  test.each(METHODS)("%s", (_name, { schema, places }) => {
    for (const { path, filled } of places) {
      for (const value of HOSTILE) {
        const { error } = outcome(schema, filled(value));
        if (error === undefined) continue;
        const said = `${error.message}\n${error.hint}`.replace(/\nnull$/, "");
        expect({ path, value, leak: LIBRARY.exec(said)?.[0] }).toEqual({ path, value, leak: undefined });
        expect(Object.keys(error.details)).toEqual(["field"]);
        expect(said.length).toBeLessThan(2000);
        expect(said).not.toMatch(/must be (?:,|$)|: *$/m);
      }
    }
  });
});

const objects = (places: readonly Place[]): Place[] => places.filter(({ node }) => node.type === "object");

describe("an empty list is an empty object where one is meant", () => {
  test.each(METHODS.filter(([, { places }]) => objects(places).length > 0))("%s", (_name, { schema, places }) => {
    for (const { path, filled } of objects(places)) {
      const [list, object] = [outcome(schema, filled([])), outcome(schema, filled({}))];
      // Where the schema takes a list as well, a list is meant.
      expect({ path, ...told(list) }).toEqual({ path, ...told(object) });
      // Params that are a list are refused before a schema sees them.
      if (path === "") continue;
      const { error } = outcome(schema, filled(["x"]));
      expect({ path, message: error?.message }).toEqual({ path, message: expect.stringContaining("invalid value") });
    }
  });
});

const told = ({ error, value }: ReturnType<typeof outcome>) =>
  error === undefined ? { value } : { message: error.message, hint: error.hint };

describe("a field in snake_case: the right name is proposed", () => {
  const written = (name: string): string => name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  const withHumps = ({ node }: Place): string[] =>
    Object.keys(node.properties ?? {}).filter((each) => /[A-Z]/.test(each));
  const wanted = METHODS.filter(
    ([name, { places }]) => name !== "initialize" && places.some((each) => withHumps(each).length > 0),
  );

  test.each(wanted)("%s", (_name, { schema, places }) => {
    for (const place of places) {
      for (const name of withHumps(place)) {
        const { [name]: value = 1, ...others } = sampleObject(place.node);
        const { error } = outcome(schema, place.filled({ ...others, [written(name)]: value }));
        const field = `${place.path}.${written(name)}`.slice(1);
        expect([error?.message, error?.hint]).toEqual([`unknown field "${field}"`, `did you mean "${name}"?`]);
      }
    }
  });

  test("in all schemas there are such fields", () => expect(wanted.length).toBeGreaterThan(8));
});
