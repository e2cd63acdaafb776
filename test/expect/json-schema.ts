/**
 * Checks values against the subset of JSON Schema that our documents use. Stricter than the standard on purpose: an
 * object may only have properties that its schema names, and an unknown keyword is an error.
 */
type Schema = Readonly<Record<string, unknown>>;

/** Says nothing about which values fit. */
const ANNOTATIONS = new Set(
  "$schema $id title description default examples definitions contentEncoding format additionalItems".split(" "),
);
/** Looked at together with `properties` (see unknownProperties). */
const OBJECT_KEYWORDS = new Set(["additionalProperties", "patternProperties"]);

const typeOf = (value: unknown): string => {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  if (typeof value === "number" && Number.isInteger(value)) return "integer";
  return typeof value;
};
const isType = (value: unknown, type: unknown): boolean =>
  typeOf(value) === type || (type === "number" && typeof value === "number");

/** What does not fit, as `path: reason`; empty when everything does. `root` is what `$ref` is looked up in. */
export function misfits(value: unknown, schema: Schema, root: unknown): string[] {
  return check(value, schema, { path: "", root });
}

interface Place {
  readonly path: string;
  readonly root: unknown;
}

function check(value: unknown, schema: Schema, place: Place): string[] {
  const { path, root } = place;
  const wrong = (reason: string): string[] => [`${path || "(value)"}: ${reason}`];
  const at = (part: string | number): Place => ({ path: path === "" ? String(part) : `${path}.${part}`, root });
  return Object.entries(schema)
    .flatMap(([keyword, wanted]): string[] => {
      switch (keyword) {
        case "$ref":
          // The schema of schemas: whether ours are some is seen where they are used.
          if ((wanted as string).startsWith("https://meta.json-schema.tools")) return [];
          return check(value, lookUp(wanted as string, root), place);
        case "type": {
          const types = Array.isArray(wanted) ? wanted : [wanted];
          return types.some((type) => isType(value, type))
            ? []
            : wrong(`${types.join(" or ")}, but is ${typeOf(value)}`);
        }
        case "const":
          return value === wanted ? [] : wrong(`not ${JSON.stringify(wanted)}`);
        case "enum":
          return (wanted as unknown[]).includes(value) ? [] : wrong(`${JSON.stringify(value)} is none of the words`);
        case "anyOf":
        case "oneOf": {
          const findings = (wanted as Schema[]).map((each) => check(value, each, place));
          const fitting = findings.filter((each) => each.length === 0).length;
          if (keyword === "oneOf" ? fitting === 1 : fitting > 0) return [];
          return wrong(`${fitting} alternatives fit (${findings.map((each) => each.join(", ")).join(" | ")})`);
        }
        case "items":
          if (!Array.isArray(value)) return [];
          return value.flatMap((item, index) => check(item, wanted as Schema, at(index)));
        case "properties": {
          if (typeOf(value) !== "object") return [];
          const properties = wanted as Readonly<Record<string, Schema>>;
          const known = Object.entries(value as Schema).filter(([key]) => Object.hasOwn(properties, key));
          return known.flatMap(([key, member]) => check(member, properties[key] ?? {}, at(key)));
        }
        case "required":
          if (typeOf(value) !== "object") return [];
          return (wanted as string[])
            .filter((key) => !Object.hasOwn(value as object, key))
            .flatMap((key) => wrong(`no ${key}`));
        case "propertyNames":
          if (typeOf(value) !== "object") return [];
          return Object.keys(value as object).flatMap((key) => check(key, wanted as Schema, at(key)));
        case "minimum":
          return (value as number) < (wanted as number) ? wrong(`less than ${wanted}`) : [];
        case "maximum":
          return (value as number) > (wanted as number) ? wrong(`more than ${wanted}`) : [];
        case "minLength":
          return typeof value === "string" && value.length < (wanted as number) ? wrong("too short") : [];
        case "maxLength":
          return typeof value === "string" && value.length > (wanted as number) ? wrong("too long") : [];
        case "pattern":
          return typeof value === "string" && !new RegExp(wanted as string).test(value)
            ? wrong(`not like ${wanted}`)
            : [];
        case "minItems":
          return Array.isArray(value) && value.length < (wanted as number) ? wrong("too few items") : [];
        case "maxItems":
          return Array.isArray(value) && value.length > (wanted as number) ? wrong("too many items") : [];
        case "maxProperties":
          return typeOf(value) === "object" && Object.keys(value as object).length > (wanted as number)
            ? wrong("too many members")
            : [];
        default:
          if (ANNOTATIONS.has(keyword) || OBJECT_KEYWORDS.has(keyword)) return [];
          throw new Error(`the keyword "${keyword}" is not known here`);
      }
    })
    .concat(unknownProperties(value, schema, place));
}

/** Properties that the schema does not name, or that do not fit what it wants of such. */
function unknownProperties(value: unknown, schema: Schema, { path, root }: Place): string[] {
  if (schema.type !== "object" || typeOf(value) !== "object") return [];
  const known = (schema.properties ?? {}) as Schema;
  const others = schema.additionalProperties;
  const patterns = Object.entries((schema.patternProperties ?? {}) as Readonly<Record<string, Schema>>);
  return Object.entries(value as Schema).flatMap(([key, member]) => {
    if (Object.hasOwn(known, key)) return [];
    const where = path === "" ? key : `${path}.${key}`;
    const [, named] = patterns.find(([pattern]) => new RegExp(pattern).test(key)) ?? [];
    if (named !== undefined) return check(member, named, { path: where, root });
    if (typeof others !== "object" || others === null) return [`${where}: no such property`];
    return check(member, others as Schema, { path: where, root });
  });
}

function lookUp(pointer: string, root: unknown): Schema {
  let found: unknown = root;
  for (const part of pointer.replace(/^#\//, "").split("/")) found = (found as Schema | undefined)?.[part];
  if (found === undefined) throw new Error(`${pointer} leads nowhere`);
  return found as Schema;
}
