import { type GenericSchema, getDotPath, safeParse } from "valibot";
import { BpfmanError } from "../errors/error.ts";

/** Checks a request against its schema. Throws INVALID_REQUEST with the path of the first wrong field. */
export function parseRequest(schema: GenericSchema, request: unknown): unknown {
  const result = safeParse(schema, request, { abortEarly: true });
  if (result.success) return result.output;
  const [issue] = result.issues;
  const field = getDotPath(issue) ?? "(request)";
  throw new BpfmanError("INVALID_REQUEST", `invalid value for "${field}": ${issue.message}`, {
    details: { field, expected: issue.expected, received: issue.received },
  });
}
