import type { ObjectFile } from "../domain/object-file.ts";
import { BpfmanError } from "../errors/error.ts";
import { type ReadObjectOptions, readObject } from "../object/object-file.ts";

interface NamedBytes {
  readonly bytes: Uint8Array;
  /** As people know it. */
  readonly path: string;
}

/** Reads an object file, and names it in whatever is wrong with it. Throws INVALID_OBJECT. */
export function readNamedObject({ bytes, path }: NamedBytes, options: ReadObjectOptions): ObjectFile {
  try {
    return readObject(bytes, options);
  } catch (cause) {
    if (!(cause instanceof BpfmanError)) throw cause;
    throw cause.with({ message: `check "${path}": ${cause.message}`, details: { path } });
  }
}
