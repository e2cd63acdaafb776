import type { GenericSchema, InferOutput } from "valibot";
import type { Host } from "../platform/host.ts";
import type { LogPort } from "../domain/log.ts";

/** What an operation is run with, besides its request. */
export interface Context {
  /** Names this run in logs and in reports of bugs. */
  readonly operationId: string;
  /** Honoured between steps: what was begun is undone. */
  readonly signal: AbortSignal;
  /** How long a writer waits for the lock; 0 is for ever. */
  readonly lockTimeoutMs: number;
  readonly log: LogPort;
  /** Said while something long is under way. */
  progress(message: string): void;
}

/** The implementation behind a row of the table, in a module that is fetched when the operation is called. */
export interface Operation<Schema extends GenericSchema, Answer> {
  readonly request: Schema;
  run(host: Host, request: InferOutput<Schema>, context: Context): Promise<Answer> | Answer;
}

export const operation = <Schema extends GenericSchema, Answer>(row: Operation<Schema, Answer>): Operation<Schema, Answer> =>
  row;
