import { type GenericSchema, type InferOutput, safeParse } from "valibot";
import type { NameOf } from "./operation.ts";

/** Checks a request against its schema. Throws INVALID_REQUEST, which calls the first wrong field as `nameOf` does. */
export function parseRequest<Schema extends GenericSchema>(
  schema: Schema,
  request: unknown,
  nameOf?: NameOf,
): InferOutput<Schema> {
  const result = safeParse(schema, request, { abortEarly: true });
  if (result.success) return result.output;
  // Fetched for a wrong request alone.
  const { requestProblem } = require("./request-problem.ts") as typeof import("./request-problem.ts");
  throw requestProblem(schema, result.issues[0], nameOf);
}
