/** Converts failures to JSON-RPC errors. */
import { WRONG_VALUE_CHARS_MAX } from "../src/domain/limits.ts";
import { printable } from "../src/domain/printable.ts";
import { BpfmanError } from "../src/errors/error.ts";
import { reasonOf } from "../src/errors/sys-failure.ts";
import { didYouMean } from "../src/errors/suggest.ts";
import { ERROR_NUMBERS, type ErrorData, INVALID_PARAMS, METHOD_NOT_FOUND } from "./protocol.ts";

/** The `error` member of a reply. */
export interface ReplyError {
  readonly code: number;
  readonly message: string;
  readonly data?: ErrorData;
}

/** A request rejected by the protocol itself. */
export class RefusedRequest extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(printable(message));
    this.code = code;
  }
}

export const unknownMethod = (method: string, known: readonly string[]): RefusedRequest => {
  const near = didYouMean(method.slice(0, 100), known);
  const shown = JSON.stringify(method.slice(0, 100));
  return new RefusedRequest(METHOD_NOT_FOUND, `unknown method ${shown}${near === null ? "" : `; ${near}`}`);
};

export function wrongField(path: string, problem: string): BpfmanError {
  const field = path.slice(0, WRONG_VALUE_CHARS_MAX);
  return new BpfmanError("INVALID_REQUEST", `invalid value for "${field}": ${problem}`, { details: { field } });
}

/** Converts a failure to the error of a reply. An unexpected one reveals the operation's ID and no internals. */
export function replyError(thrown: unknown, operationId: string): ReplyError {
  if (thrown instanceof RefusedRequest) return { code: thrown.code, message: thrown.message };
  if (!(thrown instanceof BpfmanError)) {
    const reason = reasonOf(thrown);
    return replyError(
      new BpfmanError("INTERNAL", `${reason} (operation ${operationId})`, { details: { operation_id: operationId } }),
      operationId,
    );
  }
  const { code, kind, message, hint, verifierLog, sys } = thrown;
  const details = code === "INTERNAL" ? { operation_id: operationId, ...thrown.details } : thrown.details;
  return { code: numberOf(thrown), message, data: { code, kind, hint, details, verifierLog, sys } };
}

const numberOf = (error: BpfmanError): number =>
  error.code === "INVALID_REQUEST" ? INVALID_PARAMS : ERROR_NUMBERS[error.kind];
