import type { OperationName, Answers } from "./operations.ts";
import type { Context } from "./operation.ts";

/** Runs one operation on a request as it came from outside. The only way from an edge to the service. */
export type Invoke = <Name extends OperationName>(
  name: Name,
  request: unknown,
  context?: Partial<Context>,
) => Promise<Answers[Name]>;
