import type { ObjectFile } from "../domain/object-file.ts";
import { BpfmanError } from "../errors/error.ts";
import { type ReadObjectOptions, readObject } from "../object/object-file.ts";

interface NamedBytes {
  readonly bytes: Uint8Array;
  /** The path shown to users. */
  readonly path: string;
}

/** Parses an object file; errors name its path. Throws INVALID_OBJECT. */
export function readNamedObject({ bytes, path }: NamedBytes, options: ReadObjectOptions): ObjectFile {
  try {
    return readObject(bytes, options);
  } catch (cause) {
    if (!(cause instanceof BpfmanError)) throw cause;
    const message = cause.message.replace("the object file", `object file "${path}"`);
    throw cause.with({ message, details: { path } });
  }
}
