import type { GenericSchema, InferOutput } from "valibot";
import type { Capability } from "../domain/capabilities.ts";
import type { LogPort } from "../domain/log.ts";
import type { Caller, Facts } from "../domain/history.ts";
import type { LinkId, ProcessIdentity, ProgramId } from "../domain/ids.ts";
import type { Host } from "../platform/host.ts";
import type { Adapter, Runtime, Sources } from "../platform/runtime.ts";

/** Returns the user's name for the request field at a path; null to use the path itself. */
export type NameOf = (path: readonly unknown[]) => string | null;

/** Takes results as JSON while an operation finds them. */
export interface Sink {
  /** What stands between two results. */
  readonly separator: string;
  /** Takes bytes that may be overwritten afterwards. Returns false if nobody wants more. */
  write(bytes: Uint8Array): boolean;
  /** How many results it takes now; any number if absent. */
  room?(): number;
  /** Says that what was written since the last time is whole: that many results, and what was lost between them. */
  deliver?(results: number): void;
  /** Whether nobody wants more, although nothing was written. */
  isAbandoned?(): boolean;
  /** Nothing else happens in this process, which may be blocked for moments. */
  readonly mayBlock?: true;
}

export interface Recovered {
  readonly programs: Set<ProgramId>;
  readonly links: Set<LinkId>;
}

/** Everything an operation receives besides its request. */
export interface Context {
  /** The user's name for this operation, for messages: `bpfman list programs`. Defaults to its own name. */
  readonly calledAs?: string;
  /** Names fields by command-line options; absent if the user wrote the request itself. */
  readonly nameOf?: NameOf;
  /** Identifies this run in logs and bug reports. */
  readonly operationId: string;
  /** Checked between steps: finished steps are undone. */
  readonly signal: AbortSignal;
  /** How long a writer waits for the lock; 0 waits indefinitely. */
  readonly lockTimeoutMs: number;
  /** The process whose exit removes what is created here; null if it stays. */
  readonly owner: ProcessIdentity | null;
  readonly log: LogPort;
  /**
   * Throws PERMISSION_DENIED if this process lacks one of these capabilities. `what` says who needs them: `an XDP
   * program`.
   */
  requireCapabilities(needed: readonly Capability[], what: string): void;
  /** Reports the progress of a long-running step. */
  progress(message: string): void;
  /** Passes on a line printed by a program that the operation runs. */
  relay(line: string): void;
  /** Where results go one by one, instead of all of them into the answer; null if the caller wants an answer. */
  readonly sink: Sink | null;
  /** What the image of the request was pulled as before its turn; null if it was not. */
  readonly digest: string | null;
  /** Reports the digest of the image of the request. */
  pulled(digest: string): void;
  /** Who runs it, for the history. */
  readonly caller: Caller;
  /** Records facts for the history. IDs are added to those already recorded. */
  note(facts: Facts): void;
  /** What was found to be gone, and was removed, before the operation started. */
  readonly recovered: Recovered;
  /** Reports that nothing is left in the runtime directory, which is then removed together with the writer lock. */
  leave(): void;
  /** Waits for what the caller may look for, once the change is made and the lock released. `wait` does not throw. */
  waitAfterwards(wait: () => Promise<void>): void;
}

/** What there is without the lock. */
export type Early = Sources & Pick<Runtime, "openHost">;

/** The implementation behind a row of the table, in a module that is loaded when the operation is called. */
export interface Operation<Schema extends GenericSchema, Answer, Needs = Host, Input = InferOutput<Schema>> {
  /** A getter in modules of several operations, so that a command makes the schema that it needs. */
  readonly request: Schema;
  /** The part of a schema with many alternatives that a request is checked against, so that a command makes only this one. */
  requestFor?(request: unknown): Schema;
  /**
   * Does slow work that changes nothing visible to others, such as fetching an image; a writer does it before it takes
   * the lock. The result is the input of `run`, by default the request itself.
   */
  prepare?(sources: Early, request: InferOutput<Schema>, context: Context): Promise<Input>;
  /**
   * For operations that can be the first change on a machine: throws any error that can be found before the first
   * effect, and returns true if there is nothing to change. Called before anything is created where bpfman has no state yet.
   * Other operations have nothing to change there and simply run.
   */
  check?(needs: Needs, input: Input, context: Context): unknown;
  /**
   * Called when it has run and the lock is released: waits for what was missing, and returns the input to run again with; null
   * if the answer is the last one.
   */
  proceed?(sources: Early, input: Input, answer: Answer, context: Context): Promise<Input | null>;
  /** For a `write` that some requests only ask about: those run like a `read`. */
  onlyReads?(request: InferOutput<Schema>): boolean;
  /** Examines state that can be broken itself, so nothing looks at it or cleans it up before. */
  readonly examines?: true;
  /**
   * The adapters that a `read` uses on this request, as a rule; all if absent. One that does not use the pins says nothing of those
   * without rows.
   */
  uses?(request: InferOutput<Schema>): readonly Adapter[] | undefined;
  run(needs: Needs, input: Input, context: Context): Promise<Answer> | Answer;
}

/** Identity function that infers the row's types. */
export const operation = <Schema extends GenericSchema, Answer, Needs = Host, Input = InferOutput<Schema>>(
  row: Operation<Schema, Answer, Needs, Input>,
): Operation<Schema, Answer, Needs, Input> => row;
