import type { GenericSchema, InferOutput } from "valibot";
import type { LogPort } from "../domain/log.ts";
import type { ProcessIdentity } from "../domain/ids.ts";
import type { Host } from "../platform/host.ts";
import type { Sources } from "../platform/runtime.ts";

/** What the user calls a field of a request, which is given by its path; null for the path itself. */
export type NameOf = (path: readonly unknown[]) => string | null;

/** What an operation is run with, besides its request. */
export interface Context {
  /** What the user calls this operation, for messages: `bpfman list programs`. Its own name when absent. */
  readonly calledAs?: string;
  /** The options of a command line; absent where the request itself is what was written. */
  readonly nameOf?: NameOf;
  /** Names this run in logs and in reports of bugs. */
  readonly operationId: string;
  /** Honoured between steps: what was begun is undone. */
  readonly signal: AbortSignal;
  /** How long a writer waits for the lock; 0 is for ever. */
  readonly lockTimeoutMs: number;
  /** The process with whose end everything goes that is made here; null for what stays. */
  readonly owner: ProcessIdentity | null;
  readonly log: LogPort;
  /** Reports the progress of a long-running step. */
  progress(message: string): void;
  /** A line that a program printed which was run for this. */
  relay(line: string): void;
  /** Facts for the operations history: ids made or removed, counts, times. */
  note(facts: Readonly<Record<string, unknown>>): void;
  /** Nothing is left in the runtime directory: it goes together with the writer lock. */
  leave(): void;
}

/** The implementation behind a row of the table, in a module that is fetched when the operation is called. */
export interface Operation<Schema extends GenericSchema, Answer, Needs = Host, Input = InferOutput<Schema>> {
  readonly request: Schema;
  /**
   * What takes long and changes nothing that others see, such as fetching an image: a writer does it before the lock is
   * taken. Its answer is what runs; the request itself where this is absent.
   */
  prepare?(sources: Sources, request: InferOutput<Schema>, context: Context): Promise<Input>;
  /**
   * For what can be the first change on a machine: throws what is wrong before the first effect. Where there is nothing of
   * bpfman yet, it is asked before anything is made. All else has nothing to change there, and just runs.
   */
  check?(needs: Needs, input: Input): void;
  run(needs: Needs, input: Input, context: Context): Promise<Answer> | Answer;
}

/** Gives a row its types; it does nothing else. */
export const operation = <Schema extends GenericSchema, Answer, Needs = Host, Input = InferOutput<Schema>>(
  row: Operation<Schema, Answer, Needs, Input>,
): Operation<Schema, Answer, Needs, Input> => row;
