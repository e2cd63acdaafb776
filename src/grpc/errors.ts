/** Failures as gRPC reports them: a number, and a line of text in the trailers. */
import { GRPC_ERROR_BYTES_MAX } from "../domain/limits.ts";
import { printable } from "../domain/printable.ts";
import type { ErrorKind } from "../errors/codes.ts";
import { BpfmanError } from "../errors/error.ts";
import { reasonOf } from "../errors/sys-failure.ts";

/** The numbers of the gRPC protocol (grpc/doc/statuscodes.md) that are used here. */
export const STATUS = {
  OK: 0,
  CANCELLED: 1,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
} as const;

const BY_KIND: Readonly<Record<ErrorKind, number>> = {
  invalid: STATUS.INVALID_ARGUMENT,
  "not-found": STATUS.NOT_FOUND,
  conflict: STATUS.ABORTED,
  precondition: STATUS.FAILED_PRECONDITION,
  permission: STATUS.PERMISSION_DENIED,
  unsupported: STATUS.UNIMPLEMENTED,
  unavailable: STATUS.UNAVAILABLE,
  cancelled: STATUS.CANCELLED,
  internal: STATUS.INTERNAL,
};

/** A failure whose number the protocol prescribes. */
export class StatusError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(printable(message));
    this.status = status;
  }
}

/** A field of a message that cannot be translated. */
export const invalid = (field: string, problem: string): BpfmanError =>
  new BpfmanError("INVALID_REQUEST", `invalid value for "${field}": ${problem}`, { details: { field } });

export interface Status {
  readonly status: number;
  readonly message: string;
}

/** `CODE: text; hint` of an error of bpfman. What is unexpected is INTERNAL, and shows no stack. */
export function statusOf(thrown: unknown): Status {
  if (thrown instanceof StatusError) return { status: thrown.status, message: thrown.message };
  const error = thrown instanceof BpfmanError ? thrown : new BpfmanError("INTERNAL", reasonOf(thrown));
  const { code, kind, message, hint } = error;
  return { status: BY_KIND[kind], message: `${code}: ${message}${hint === null ? "" : `; ${hint}`}` };
}

/**
 * Percent-encodes what is not printable ASCII, as a header needs it (grpc/doc/PROTOCOL-HTTP2.md), and cuts off at a
 * character what would be too long.
 */
export function encodedMessage(text: string): string {
  let encoded = "";
  for (const character of text.toWellFormed()) {
    const next = /[ -$&-~]/.test(character) ? character : encodeURIComponent(character);
    if (encoded.length + next.length > GRPC_ERROR_BYTES_MAX) break;
    encoded += next;
  }
  return encoded;
}
