/**
 * Writes rpc/answers.schema.json: the JSON Schemas of JSON-RPC answers and notifications, generated from the TypeScript
 * types by the compiler itself. test/unit/rpc/schemas.test.ts checks the file against the types. Part of `bun run docs`.
 *
 * Every number in an answer is an ID, a count, a size or a time in nanoseconds, so numbers become integers, except for
 * percentages, rates, seconds and values of metrics.
 */
import { writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { API, type Checker, type Project, type Symbol as TypeSymbol, type Type } from "typescript/unstable/async";

const ROOT = resolve(import.meta.dir, "..");
export const SCHEMAS_FILE = "rpc/answers.schema.json";

const PROTOCOL = "rpc/protocol.ts";

/** The subset of JSON Schema that this script writes. */
export type Schema = { [keyword: string]: unknown };
export interface AnswerSchemas {
  /** Results, by the method of the request. */
  readonly results: Readonly<Record<string, Schema>>;
  /** Params, by the method of the notification from the server. */
  readonly notifications: Readonly<Record<string, Schema>>;
  /** The schema of an error's `data`. */
  readonly error: Schema;
  /** Targets of `$ref`, by name. */
  readonly schemas: Readonly<Record<string, Schema>>;
}

/** Converts types to schemas, and collects named ones separately, for `$ref`. */
class Reader {
  readonly schemas: Record<string, Schema> = {};
  readonly #checker: Checker;

  constructor(checker: Checker) {
    this.#checker = checker;
  }

  async schemaOf(type: Type): Promise<Schema> {
    if (type.isUnionType()) return this.#union(type, await type.getTypes());
    if (type.isStringLiteralType() || type.isNumberLiteralType() || type.isBooleanLiteralType()) {
      return { const: type.value };
    }
    if (type.isIntrinsicType()) return intrinsic(type.intrinsicName);
    if (await this.#checker.isArrayType(type)) {
      const [element] = await this.#checker.getTypeArguments(type as Parameters<Checker["getTypeArguments"]>[0]);
      if (element === undefined) throw new Error("an array without an element type");
      return { type: "array", items: await this.schemaOf(element) };
    }
    return this.#object(type);
  }

  /** The members of an interface, each with its schema, or with the schema of its own member `inner`. */
  async table(type: Type, inner?: string): Promise<Record<string, Schema>> {
    const table: Record<string, Schema> = {};
    for (const member of await this.#checker.getPropertiesOfType(type)) {
      const whole = await this.#typeOf(member);
      const part = inner === undefined ? undefined : await this.#checker.getPropertyOfType(whole, inner);
      table[member.name] = await this.schemaOf(part === undefined ? whole : await this.#typeOf(part));
    }
    return table;
  }

  async #typeOf(member: TypeSymbol): Promise<Type> {
    const type = await this.#checker.getTypeOfSymbol(member);
    if (type === undefined) throw new Error(`"${member.name}" has no type`);
    return type;
  }

  async #union(union: Type, all: readonly Type[]): Promise<Schema> {
    const isNull = (type: Type) => type.isIntrinsicType() && type.intrinsicName === "null";
    const isUndefined = (type: Type) => type.isIntrinsicType() && type.intrinsicName === "undefined";
    const given = all.filter((type) => !isUndefined(type));
    const nullable = given.some(isNull);
    const rest = given.filter((type) => !isNull(type));
    const literals = rest.flatMap((type) => (type.isLiteralType() ? [type.value] : []));
    if (literals.length === rest.length) {
      // TypeScript does not preserve the order of a union's members.
      const values = literals.filter((value) => typeof value !== "bigint").sort();
      const boolean = values.every((value) => typeof value === "boolean") && values.length === 2;
      if (boolean) return { type: nullable ? ["boolean", "null"] : "boolean" };
      return { enum: nullable ? [...values, null] : values };
    }
    const alias = await union.getAliasSymbol();
    if (alias !== undefined && !nullable) return this.#named(alias, async () => ({ anyOf: await this.#each(rest) }));
    const schemas = await this.#each(rest);
    const [first] = schemas;
    const only = schemas.length === 1 ? first : undefined;
    if (only !== undefined && !nullable) return only;
    if (only !== undefined && typeof only.type === "string" && only.type !== "object") {
      return { ...only, type: [only.type, "null"] };
    }
    return { anyOf: nullable ? [...schemas, { type: "null" }] : schemas };
  }

  async #each(types: readonly Type[]): Promise<Schema[]> {
    const schemas: Schema[] = [];
    for (const type of types) schemas.push(await this.schemaOf(type));
    return schemas;
  }

  async #object(type: Type): Promise<Schema> {
    const symbol = await type.getSymbol();
    if (type.isClassOrInterface() && symbol !== undefined) return this.#named(symbol, () => this.#members(type));
    return this.#members(type);
  }

  async #named(symbol: TypeSymbol, make: () => Promise<Schema>): Promise<Schema> {
    if (!Object.hasOwn(this.schemas, symbol.name)) {
      this.schemas[symbol.name] = {};
      const description = await this.#description(symbol);
      this.schemas[symbol.name] = { ...description, ...(await make()) };
    }
    return { $ref: `#/components/schemas/${symbol.name}` };
  }

  async #description(symbol: TypeSymbol): Promise<Schema> {
    const text = await this.#checker.getDocumentationCommentOfSymbol(symbol);
    return text === "" ? {} : { description: text.replaceAll(/\s+/g, " ") };
  }

  async #members(type: Type): Promise<Schema> {
    const [index] = await this.#checker.getIndexInfosOfType(type);
    if (index !== undefined) {
      return { type: "object", additionalProperties: await this.schemaOf(index.valueType) };
    }
    const properties: Record<string, Schema> = {};
    const required: string[] = [];
    for (const member of await this.#checker.getPropertiesOfType(type)) {
      const memberType = await this.#typeOf(member);
      const schema = await this.schemaOf(memberType);
      const own = FRACTION.test(member.name) ? asFraction(schema) : schema;
      properties[member.name] = { ...own, ...(await this.#description(member)) };
      if (!(await this.#isOptional(memberType))) required.push(member.name);
    }
    return { type: "object", properties, required };
  }

  async #isOptional(type: Type): Promise<boolean> {
    const members = type.isUnionType() ? await type.getTypes() : [type];
    return members.some((member) => member.isIntrinsicType() && member.intrinsicName === "undefined");
  }
}

/** Names of numbers that need not be whole. */
const FRACTION = /^(value|.*_(percent|per_second|seconds))$/;

/** Of a number, or of a number or null; other schemas are unchanged. */
function asFraction(schema: Schema): Schema {
  const { type } = schema;
  const fraction = (word: unknown): unknown => (word === "integer" ? "number" : word);
  return type === undefined ? schema : { ...schema, type: Array.isArray(type) ? type.map(fraction) : fraction(type) };
}

function intrinsic(name: string): Schema {
  switch (name) {
    case "string":
      return { type: "string" };
    case "number":
      return { type: "integer" };
    case "null":
      return { type: "null" };
    case "unknown":
      return {};
    default:
      throw new Error(`the type "${name}" has no JSON Schema`);
  }
}

async function protocolType({ checker, program }: Project, name: string): Promise<Type> {
  const source = await program.getSourceFile(join(ROOT, PROTOCOL));
  const module = source && (await checker.getSymbolAtLocation(source));
  const symbol = module && (await checker.getExportsOfModule(module)).find((each) => each.name === name);
  if (symbol === undefined) throw new Error(`${PROTOCOL} exports no "${name}"`);
  return checker.getDeclaredTypeOfSymbol(symbol);
}

const sorted = (schemas: Record<string, Schema>): Record<string, Schema> =>
  Object.fromEntries(Object.entries(schemas).sort(([a], [b]) => (a < b ? -1 : 1)));

/** Runs the compiler, which takes a few seconds. */
export async function answerSchemas(): Promise<AnswerSchemas> {
  const api = new API({ cwd: ROOT });
  try {
    const config = join(ROOT, "tsconfig.json");
    const project = (await api.updateSnapshot({ openProjects: [config] })).getProject(config);
    if (project === undefined) throw new Error(`no project ${config}`);
    const reader = new Reader(project.checker);
    const results = await reader.table(await protocolType(project, "Methods"), "result");
    const notifications = await reader.table(await protocolType(project, "ServerNotifications"));
    const error = await reader.schemaOf(await protocolType(project, "ErrorData"));
    return { results, notifications, error, schemas: sorted(reader.schemas) };
  } finally {
    await api.close();
  }
}

/** Writes the file and formats it. */
export async function writeSchemas(): Promise<void> {
  const path = join(ROOT, SCHEMAS_FILE);
  writeFileSync(path, `${JSON.stringify(await answerSchemas(), null, 2)}\n`);
  const format = Bun.spawnSync([join(ROOT, "node_modules/.bin/biome"), "format", "--write", path], { cwd: ROOT });
  if (format.exitCode !== 0) throw new Error(`biome could not format ${SCHEMAS_FILE}: ${format.stderr}`);
}
