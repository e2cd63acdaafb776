/** Where something is written in a document, for errors. */
import { BpfmanError } from "../../errors/error.ts";

/** Where a field is in a document. */
export type Locate = (path: readonly PropertyKey[]) => Place;

export interface Place {
  readonly file: string;
  /** Both from 1. */
  readonly line: number;
  readonly column: number;
}

/** Returns INVALID_DOCUMENT. */
export function documentError(place: Place, reason: string, hint?: string | null): BpfmanError {
  const { file, line, column } = place;
  return new BpfmanError("INVALID_DOCUMENT", `read "${file}": line ${line}, column ${column}: ${reason}`, {
    details: { file, line, column },
    ...(hint == null ? {} : { hint }),
  });
}

/** Returns the same error with the place in the document that it is about. */
export function located(thrown: unknown, { file, line, column }: Place): unknown {
  // What knows its place better has said so.
  if (!(thrown instanceof BpfmanError) || typeof thrown.details.line === "number") return thrown;
  const message = `"${file}", line ${line}, column ${column}: ${thrown.message}`;
  return thrown.with({ message, details: { file, line, column } });
}
