import { type GenericSchema, getDotPath, safeParse } from "valibot";
import { WRONG_VALUE_CHARS_MAX } from "../domain/limits.ts";
import { BpfmanError } from "../errors/error.ts";

/** What came from outside may be as long as a frame of the JSON-RPC server; an error repeats only its beginning. */
const cut = (text: string): string =>
  text.length <= WRONG_VALUE_CHARS_MAX ? text : `${text.slice(0, WRONG_VALUE_CHARS_MAX)}…`;

/** Checks a request against its schema. Throws INVALID_REQUEST with the path of the first wrong field. */
export function parseRequest(schema: GenericSchema, request: unknown): unknown {
  const result = safeParse(schema, request, { abortEarly: true });
  if (result.success) return result.output;
  const [issue] = result.issues;
  const field = cut(getDotPath(issue) ?? "(request)");
  throw new BpfmanError("INVALID_REQUEST", `invalid value for "${field}": ${cut(issue.message)}`, {
    details: { field, expected: issue.expected, received: cut(issue.received) },
  });
}
