import type { ErrorCode } from "./codes.ts";
import { BpfmanError, type ErrorParts, type SysFailure } from "./error.ts";

/**
 * Returns the details of a failed system call, whether thrown by node:fs (`syscall`, negative `errno`, `code`) or by
 * ffi/safe (`call`, `errno`, `errnoName`); null for any other error.
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

/** Returns the errno name of a failed system call (`ENOENT`), or null. */
export const errnoName = (thrown: unknown): string | null => sysFailure(thrown)?.name ?? null;

/** Returns the part of an error that describes the system call; empty if there was none. */
export function sysPart(thrown: unknown): { readonly sys?: SysFailure } {
  const sys = sysFailure(thrown);
  return sys === null ? {} : { sys };
}

/**
 * Returns why something failed, without paths, which the surrounding message names. Errors of node:fs end in the call
 * and its paths, as in `EROFS: read-only file system, open '/x'`.
 */
export function reasonOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  const { name, call } = sysFailure(thrown) ?? {};
  if (call === "mkdir" && (name === "EEXIST" || name === "ENOTDIR"))
    return "there is a file where a directory should be";
  if (name === "ENOTDIR") return "part of the path is not a directory";
  return thrown.message.replace(/^(E[A-Z0-9]+: [^,]+), [a-z]+( '.*)?$/s, "$1");
}

/** The file operation that was attempted, and the error code for its failure. */
export interface FileWork extends Pick<ErrorParts, "hint"> {
  /** The start of the message: `pin`, `read configuration`. */
  readonly action: string;
  readonly path: string;
  readonly code: ErrorCode;
}

/** `ACTION "PATH": reason`. `thrown` is an error or a sentence; a BpfmanError is returned unchanged. */
export function ioFailure(thrown: unknown, { action, path, code, hint: given }: FileWork): BpfmanError {
  if (thrown instanceof BpfmanError) return thrown;
  const isDenied = code === "IO_FAILED" && errnoName(thrown) === "EACCES";
  const hint = given ?? (isDenied ? "run it with sudo, or as the user whose file or directory it is" : undefined);
  return new BpfmanError(code, `${action} "${path}": ${reasonOf(thrown)}`, {
    details: { path },
    ...(hint === undefined ? {} : { hint }),
    sys: sysFailure(thrown),
    cause: thrown instanceof Error ? thrown : undefined,
  });
}

/** Runs an operation on one of bpfman's own files. Throws IO_FAILED for any error that is not a BpfmanError. */
export function failing<T>(action: string, path: string, run: () => T): T {
  try {
    return run();
  } catch (thrown) {
    throw ioFailure(thrown, { action, path, code: "IO_FAILED" });
  }
}

/**
 * What open(2) and setns(2) fail with if there is no network namespace at a path. Any other failure, such as ENOMEM, does not
 * say that it has gone, and nothing may be forgotten because of it.
 */
export const NO_NAMESPACE: readonly string[] = [
  "ENOENT",
  "ENOTDIR",
  "EINVAL",
  "ELOOP",
  "ENXIO",
  "ESRCH",
  "ENAMETOOLONG",
];
