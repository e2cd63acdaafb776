import type { ObjectFile } from "../../domain/object-file.ts";
import { BpfmanError } from "../../errors/error.ts";
import { whatThereIs } from "../../errors/suggest.ts";
import type { ObjectToLoad } from "../../platform/kernel.ts";
import type { LoadRequest } from "../requests/load-request.ts";

/** Decodes the bytes of each variable in the request: hex digits or base64. */
export function decodeGlobals(given: LoadRequest["globalData"]): Map<string, Uint8Array> {
  const decoded = new Map<string, Uint8Array>();
  for (const [name, value] of Object.entries(given)) {
    decoded.set(name, typeof value === "string" ? Uint8Array.fromHex(value) : Uint8Array.fromBase64(value.base64));
  }
  return decoded;
}

/** Locates each variable. Throws GLOBAL_NOT_FOUND, or INVALID_GLOBAL if the size does not match. */
export function placeGlobals(object: ObjectFile, globals: ReadonlyMap<string, Uint8Array>): ObjectToLoad["globals"] {
  return [...globals].map(([name, bytes]) => {
    const variable = object.globals.find((candidate) => candidate.name === name);
    if (!variable) {
      const names = object.globals.map((candidate) => candidate.name);
      throw new BpfmanError("GLOBAL_NOT_FOUND", `global variable "${name}" not found in program`, {
        details: { global: name, globals: names },
        hint: whatThereIs(name, names, { there: "the object has", none: "the object has no global variables" }),
      });
    }
    if (variable.size !== bytes.length) {
      throw new BpfmanError(
        "INVALID_GLOBAL",
        `global variable "${name}" is ${variable.size} bytes long, but the value given has ${bytes.length}`,
        {
          details: { global: name, size: variable.size, given: bytes.length },
          hint: `give ${variable.size * 2} hex digits, in the byte order of the program`,
        },
      );
    }
    return { section: variable.section, offset: variable.offset, bytes };
  });
}
