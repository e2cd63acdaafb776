/** What the server and its worker tell each other: JSON, one message per line. */
import type { ProcessIdentity } from "../src/domain/ids.ts";
import { WORKER_MESSAGE_BYTES_MAX } from "../src/domain/limits.ts";
import type { LogLevel, Severity } from "../src/domain/log.ts";
import type { Settings } from "../src/domain/settings.ts";
import type { ErrorCode } from "../src/errors/codes.ts";
import type { ErrorParts } from "../src/errors/error.ts";
import type { OperationName } from "../src/service/operations.ts";

/** A task of the worker, one at a time: an operation, or `SessionService.release`. */
export type Task = { readonly id: string; readonly owner: ProcessIdentity | null } & (
  | { readonly kind: "run"; readonly name: OperationName; readonly request: unknown; readonly digest: string | null }
  | { readonly kind: "release"; readonly lockTimeoutMs: number | null }
);

/** A task, and the level of the log that hears of it: what that would drop is not told. */
export type Given = Task & { readonly logLevel: LogLevel };

/** What a worker needs to know of the session before its first task. */
export interface Beginning {
  readonly settings: Settings;
  /** The process that started the server, for the history. */
  readonly parentPid: number;
}

/** From the server to the worker. */
export type Order =
  | ({ readonly kind: "begin" } & Beginning)
  | Given
  /** Ignored unless that task is running. */
  | { readonly kind: "cancel"; readonly id: string };

/** From the worker to the server. All but `ready` are about the task that is running. */
export type Report =
  /** The worker now dies with the server, so it may be given tasks. */
  | { readonly kind: "ready" }
  /** The task was told to stop, and is not inside a system call. Repeated until it has stopped: it may enter one yet. */
  | { readonly kind: "stopping" }
  | { readonly kind: "progress"; readonly message: string }
  | {
      readonly kind: "log";
      readonly level: Severity;
      readonly message: string;
      readonly facts: Readonly<Record<string, unknown>>;
    }
  | { readonly kind: "done"; readonly answer: unknown }
  | {
      readonly kind: "failed";
      readonly code: ErrorCode;
      readonly message: string;
      readonly parts: Omit<ErrorParts, "cause">;
    };

const LINE_END = 10;

export const encoded = (message: Order | Report): string => `${JSON.stringify(message)}\n`;

/** Yields messages as they arrive; drops one that was cut off by the end. Throws if one is too long, or no JSON. */
export async function* messages<Message>(input: AsyncIterable<Uint8Array>): AsyncGenerator<Message> {
  let parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of input) {
    let rest = chunk;
    for (let end = rest.indexOf(LINE_END); end >= 0; end = rest.indexOf(LINE_END)) {
      yield JSON.parse(Buffer.concat([...parts, rest.subarray(0, end)]).toString());
      parts = [];
      bytes = 0;
      rest = rest.subarray(end + 1);
    }
    parts.push(rest);
    bytes += rest.length;
    if (bytes > WORKER_MESSAGE_BYTES_MAX) throw new Error(`a message has more than ${WORKER_MESSAGE_BYTES_MAX} bytes`);
  }
}
