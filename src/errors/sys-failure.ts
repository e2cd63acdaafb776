import type { ErrorCode } from "./codes.ts";
import { BpfmanError, type ErrorParts, type SysFailure } from "./error.ts";

/**
 * What a failed system call says about itself, whether node:fs threw it (`syscall`, negative `errno`, `code`) or a
 * wrapper of ffi/safe did (`call`, `errno`, `errnoName`); null for anything else.
 */
export function sysFailure(thrown: unknown): SysFailure | null {
  if (!(thrown instanceof Error)) return null;
  const { call, syscall, errno, code, errnoName: name } = thrown as Error & Partial<Record<string, unknown>>;
  if (typeof errno !== "number") return null;
  if (typeof call === "string" && typeof name === "string") return { call, errno, name };
  if (typeof syscall === "string" && typeof code === "string")
    return { call: syscall, errno: Math.abs(errno), name: code };
  return null;
}

/** Name of the errno behind a failed system call (`ENOENT`), or null. */
export const errnoName = (thrown: unknown): string | null => sysFailure(thrown)?.name ?? null;

/** The part of an error that tells of the system call, empty when there was none. */
export function sysPart(thrown: unknown): { readonly sys?: SysFailure } {
  const sys = sysFailure(thrown);
  return sys === null ? {} : { sys };
}

/**
 * Why something failed, in a sentence that names no path: the message around it does. What node:fs throws ends in the
 * call and its paths, as in `EROFS: read-only file system, open '/x'`.
 */
export function reasonOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  const { name, call } = sysFailure(thrown) ?? {};
  if (call === "mkdir" && (name === "EEXIST" || name === "ENOTDIR"))
    return "there is a file where a directory should be";
  if (name === "ENOTDIR") return "part of the path is not a directory";
  return thrown.message.replace(/^(E[A-Z0-9]+: [^,]+), [a-z]+( '.*)?$/s, "$1");
}

/** What was to be done with a file, and the code of the error when it fails. */
export interface FileWork extends Pick<ErrorParts, "hint"> {
  /** Begins the message: `pin`, `read configuration`. */
  readonly action: string;
  readonly path: string;
  readonly code: ErrorCode;
}

/** `ACTION "PATH": reason`. `thrown` is what a call threw, or a sentence; a BpfmanError stays as it is. */
export function ioFailure(thrown: unknown, { action, path, code, hint }: FileWork): BpfmanError {
  if (thrown instanceof BpfmanError) return thrown;
  return new BpfmanError(code, `${action} "${path}": ${reasonOf(thrown)}`, {
    details: { path },
    ...(hint === undefined ? {} : { hint }),
    sys: sysFailure(thrown),
    cause: thrown instanceof Error ? thrown : undefined,
  });
}

/** Runs work on a file of bpfman's own. Throws IO_FAILED for whatever it throws but a BpfmanError. */
export function failing<T>(action: string, path: string, run: () => T): T {
  try {
    return run();
  } catch (thrown) {
    throw ioFailure(thrown, { action, path, code: "IO_FAILED" });
  }
}
