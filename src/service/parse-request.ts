import { type GenericSchema, type InferOutput, safeParse } from "valibot";

/** Checks a request against its schema. Throws INVALID_REQUEST with the path of the first wrong field. */
export function parseRequest<Schema extends GenericSchema>(schema: Schema, request: unknown): InferOutput<Schema> {
  const result = safeParse(schema, request, { abortEarly: true });
  if (result.success) return result.output;
  // Fetched for a wrong request alone.
  const { requestProblem } = require("./request-problem.ts") as typeof import("./request-problem.ts");
  throw requestProblem(schema, result.issues[0]);
}
