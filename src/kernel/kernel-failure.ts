import { LibraryError } from "../../ffi/safe/library.ts";
import type { ErrorCode } from "../errors/codes.ts";
import { BpfmanError, type ErrorParts, type SysFailure } from "../errors/error.ts";
import { sysFailure } from "../errors/sys-failure.ts";
import { permissionHint } from "./explain/on-demand.ts";

/** The meaning of a system call's failure in its context. */
export interface Meaning extends ErrorParts {
  readonly code: ErrorCode;
  /** Replaces the errno's text. */
  readonly reason?: string;
}

export interface Attempt {
  /** Start of the message: `attach to tracepoint "sched/sched_switch"`. */
  readonly action: string;
  /** The code for failures that `explain` does not cover. */
  readonly code: ErrorCode;
  /** Explains errnos with a special meaning here; returns null for others. */
  readonly explain?: (sys: SysFailure) => Meaning | null;
}

/** Calls `run`, converting a failed system call or an unusable library to a BpfmanError. */
export function attempt<T>(attempt: Attempt, run: () => T): T {
  try {
    return run();
  } catch (thrown) {
    throw translate(thrown, attempt);
  }
}

/** Converts errors of ffi to a BpfmanError; returns others unchanged. */
export function translate(thrown: unknown, { action, code, explain }: Attempt): unknown {
  if (thrown instanceof LibraryError) return libraryFailure(thrown);
  const sys = sysFailure(thrown);
  if (sys === null || !(thrown instanceof Error)) return thrown;
  const { code: found, reason, ...parts } = explain?.(sys) ?? generalMeaning(sys, code);
  return new BpfmanError(found, `${action}: ${reason ?? thrown.message}`, { sys, cause: thrown, ...parts });
}

/** Calls that take CAP_NET_ADMIN. */
const isOfNetwork = ({ call }: SysFailure): boolean => call.startsWith("rtnetlink") || call === "bpf(BPF_PROG_QUERY)";

/** EPERM and EACCES always come from policy, and ENOSYS from a kernel without the call. */
function generalMeaning(sys: SysFailure, code: ErrorCode): Meaning {
  switch (sys.name) {
    case "EPERM":
    case "EACCES":
      return { code: "KERNEL_REFUSED", hint: permissionHint(isOfNetwork(sys) ? "tc" : null) };
    case "ENOSYS":
      return { code: "KERNEL_UNSUPPORTED", hint: "this kernel was built without that system call" };
    default:
      return { code };
  }
}

export function libraryFailure(error: LibraryError): BpfmanError {
  const details = { library: error.library };
  switch (error.reason) {
    case "missing":
      return new BpfmanError("LIBBPF_MISSING", `cannot load libbpf: ${error.message}`, { details, cause: error });
    case "symbol":
      return new BpfmanError("LIBBPF_TOO_OLD", `the installed ${error.library} has no function "${error.symbol}"`, {
        details: { ...details, symbol: error.symbol },
        cause: error,
      });
    case "jit":
      return new BpfmanError("JIT_UNAVAILABLE", `cannot call ${error.library}: ${error.message}`, {
        details,
        cause: error,
      });
  }
}
