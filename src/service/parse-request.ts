import { type GenericSchema, safeParse } from "valibot";

/** Checks a request against its schema. Throws INVALID_REQUEST with the path of the first wrong field. */
export function parseRequest(schema: GenericSchema, request: unknown): unknown {
  const result = safeParse(schema, request, { abortEarly: true });
  if (result.success) return result.output;
  // Fetched for a wrong request alone.
  const { requestProblem } = require("./request-problem.ts") as typeof import("./request-problem.ts");
  throw requestProblem(schema, result.issues[0]);
}
