import { QUOTED_CHARS_MAX } from "../domain/limits.ts";
import { printable, printableBlock } from "../domain/printable.ts";
import type { ErrorCode, ErrorKind } from "./codes.ts";

/** A failed system call: the call, its errno, and the name of the errno. */
export interface SysFailure {
  readonly call: string;
  readonly errno: number;
  readonly name: string;
}

export interface ErrorParts {
  /** Structured facts: IDs, paths, names. Plain JSON values. */
  readonly details?: Readonly<Record<string, unknown>>;
  /** What to do. Defaults to the code's own hint. */
  readonly hint?: string | null;
  /** The complete log of the kernel's verifier. */
  readonly verifierLog?: string | null;
  readonly sys?: SysFailure | null;
  readonly cause?: unknown;
}

/**
 * The only error class. `message` names the action first, quotes values, states current and expected state, and has no
 * final period. A programming error is an assertion, never a BpfmanError.
 *
 * Messages contain names chosen by files, registries and the kernel. They are made printable here, once for every
 * consumer: message and hint are one line each and quote only the beginning of endless words, and the log contains no other
 * characters that affect a terminal. Values in `details` are left unchanged.
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
    super(printable(brief(message)), parts.cause === undefined ? undefined : { cause: parts.cause });
    // The table contains all hints, so it is loaded with the first error.
    const row = (require("./codes.ts") as typeof import("./codes.ts")).rowOf(code);
    this.code = code;
    this.kind = row.kind;
    this.details = parts.details ?? {};
    this.hint = parts.hint == null ? (row.hint ?? null) : printable(brief(parts.hint));
    this.verifierLog = parts.verifierLog == null ? null : printableBlock(parts.verifierLog);
    this.sys = parts.sys ?? null;
  }

  /**
   * Returns the same failure with more context: `details` are merged; `message` and `hint` replace the current ones.
   * Everything else, such as the verifier log, is kept, and this error becomes the cause.
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

/** What is quoted can be as long as a command line or a JSON-RPC frame. */
function brief(text: string): string {
  const most = QUOTED_CHARS_MAX;
  return text.length <= most ? text : text.replaceAll(RegExp(`"([^"\\s]{${most}})[^"\\s]+`, "g"), '"$1…');
}
