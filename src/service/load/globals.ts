import type { ObjectFile, ObjectGlobal } from "../../domain/object-file.ts";
import { BpfmanError } from "../../errors/error.ts";
import { whatThereIs } from "../../errors/suggest.ts";
import type { ObjectToLoad } from "../../platform/kernel.ts";
import type { LoadRequest } from "../requests/load-request.ts";

/** Values of global variables: as bytes, and as JSON of their types. */
type Given = Pick<LoadRequest, "globalData" | "globals">;

interface Contents {
  readonly bytes: Uint8Array;
  readonly object: ObjectFile;
}

/** The names of the variables in a request. */
export const namedGlobals = ({ globalData, globals }: Given): string[] => [
  ...new Set([...Object.keys(globalData), ...Object.keys(globals)]),
];

/** Leaves out what is about other variables. */
export function onlyGlobals({ globalData, globals }: Given, names: ReadonlySet<string>): Given {
  const pick = <Value>(table: Readonly<Record<string, Value>>): Record<string, Value> =>
    Object.fromEntries(Object.entries(table).filter(([name]) => names.has(name)));
  return { globalData: pick(globalData), globals: pick(globals) };
}

/** Returns the bytes of each variable in a request. Throws GLOBAL_NOT_FOUND, INVALID_GLOBAL. */
export function decodeGlobals({ globalData, globals }: Given, contents: Contents): Map<string, Uint8Array> {
  const decoded = new Map<string, Uint8Array>();
  for (const [name, value] of Object.entries(globalData)) {
    if (Object.hasOwn(globals, name)) {
      throw new BpfmanError("INVALID_GLOBAL", `global variable "${name}" is given twice: as bytes, and as a value`, {
        details: { global: name },
        hint: "give one of --global and --set",
      });
    }
    decoded.set(name, typeof value === "string" ? Uint8Array.fromHex(value) : Uint8Array.fromBase64(value.base64));
  }
  const values = Object.entries(globals);
  if (values.length === 0) return decoded;
  // Loaded only for values with types.
  const { globalTypes } = require("../../object/contents.ts") as typeof import("../../object/contents.ts");
  const find = globalTypes(contents.bytes);
  for (const [name, value] of values) {
    const variable = variableNamed(name, contents.object.globals);
    const { type, typeName, initial } = find(variable);
    if (type === null) {
      const why = typeName === null ? "the object does not say what type it has" : `it is too large, a ${typeName}`;
      throw new BpfmanError("INVALID_GLOBAL", `cannot set global variable "${name}" by its value: ${why}`, {
        details: { global: name, size: variable.size, type: typeName },
        hint: `give its ${variable.size} bytes in hex, with --global ${name}=HEX`,
      });
    }
    // Members that are not given keep what the object has.
    const bytes = initial().slice();
    try {
      type.read(value, new DataView(bytes.buffer), 0, `global ${name}`);
    } catch (thrown) {
      if (!(thrown instanceof BpfmanError)) throw thrown;
      throw new BpfmanError("INVALID_GLOBAL", `${thrown.message}; ${name} is of type ${typeName}`, {
        details: { global: name, type: typeName },
        hint: thrown.hint,
      });
    }
    decoded.set(name, bytes);
  }
  return decoded;
}

/** Throws GLOBAL_NOT_FOUND. */
export function variableNamed(name: string, globals: readonly ObjectGlobal[]): ObjectGlobal {
  const variable = globals.find((candidate) => candidate.name === name);
  if (variable !== undefined) return variable;
  const names = globals.map((candidate) => candidate.name);
  throw new BpfmanError("GLOBAL_NOT_FOUND", `global variable "${name}" not found in program`, {
    details: { global: name, globals: names },
    hint: whatThereIs(name, names, { there: "the object has", none: "the object has no global variables" }),
  });
}

/** Locates each variable. Throws GLOBAL_NOT_FOUND, or INVALID_GLOBAL if the size does not match. */
export function placeGlobals(object: ObjectFile, globals: ReadonlyMap<string, Uint8Array>): ObjectToLoad["globals"] {
  return [...globals].map(([name, bytes]) => {
    const variable = variableNamed(name, object.globals);
    if (variable.size !== bytes.length) {
      throw new BpfmanError(
        "INVALID_GLOBAL",
        `global variable "${name}" is ${variable.size} bytes long, but the value given has ${bytes.length}`,
        {
          details: { global: name, size: variable.size, given: bytes.length },
          hint: `give ${variable.size * 2} hex digits, in the byte order of the program; or its value, with --set ${name}=VALUE`,
        },
      );
    }
    return { section: variable.section, offset: variable.offset, bytes };
  });
}
