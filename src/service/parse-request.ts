import { type GenericSchema, type InferOutput, safeParse } from "valibot";
import type { NameOf } from "./operation.ts";

/** Validates a request. Throws INVALID_REQUEST, which names the first invalid field as `nameOf` does. */
export function parseRequest<Schema extends GenericSchema>(
  schema: Schema,
  request: unknown,
  nameOf?: NameOf,
): InferOutput<Schema> {
  // An empty list is an empty table; as a list it would have members of its own, such as `map`.
  const given = Array.isArray(request) && request.length === 0 ? {} : request;
  const result = safeParse(schema, given, { abortEarly: true });
  if (result.success) return result.output;
  // Loaded only for an invalid request.
  const { requestProblem } = require("./request-problem.ts") as typeof import("./request-problem.ts");
  throw requestProblem(schema, result.issues[0], nameOf);
}
