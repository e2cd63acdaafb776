import { printable, printableBlock } from "../domain/printable.ts";
import type { ErrorCode, ErrorKind } from "./codes.ts";

/** What the operating system said: the call, its errno, and the errno's name. */
export interface SysFailure {
  readonly call: string;
  readonly errno: number;
  readonly name: string;
}

export interface ErrorParts {
  /** Facts in fields: ids, paths, names. Plain JSON values. */
  readonly details?: Readonly<Record<string, unknown>>;
  /** What to do; the code's own hint stands in when this is absent. */
  readonly hint?: string | null;
  /** The whole log of the kernel's verifier. */
  readonly verifierLog?: string | null;
  readonly sys?: SysFailure | null;
  readonly cause?: unknown;
}

/**
 * The one error class. `message` puts the action first, quotes values, says current and wanted state, and has no final
 * period. A programmer's mistake is an assertion, never a BpfmanError.
 *
 * Names of files, registries and the kernel stand in its texts. They are made printable here, for all of them and for
 * whoever shows them: message and hint are one line each, and the log has no other characters that a terminal acts on.
 * Values in `details` stay as they are.
 */
export class BpfmanError extends Error {
  override readonly name = "BpfmanError";
  readonly code: ErrorCode;
  readonly kind: ErrorKind;
  readonly details: Readonly<Record<string, unknown>>;
  readonly hint: string | null;
  readonly verifierLog: string | null;
  readonly sys: SysFailure | null;

  constructor(code: ErrorCode, message: string, parts: ErrorParts = {}) {
    super(printable(message), parts.cause === undefined ? undefined : { cause: parts.cause });
    // The table has all the advice there is: it is fetched with the first error.
    const row = (require("./codes.ts") as typeof import("./codes.ts")).rowOf(code);
    this.code = code;
    this.kind = row.kind;
    this.details = parts.details ?? {};
    this.hint = parts.hint == null ? (row.hint ?? null) : printable(parts.hint);
    this.verifierLog = parts.verifierLog == null ? null : printableBlock(parts.verifierLog);
    this.sys = parts.sys ?? null;
  }

  /**
   * The same failure, told with more: `details` are added to those it has, `message` and `hint` stand in for its own.
   * Whatever else it knows, such as the verifier's log, stays with it; it becomes the cause.
   */
  with(more: ErrorParts & { readonly message?: string }): BpfmanError {
    return new BpfmanError(this.code, more.message ?? this.message, {
      hint: more.hint ?? this.hint,
      verifierLog: more.verifierLog ?? this.verifierLog,
      sys: more.sys ?? this.sys,
      details: { ...this.details, ...more.details },
      cause: this,
    });
  }
}
