import { errnoName, errnoNumber, errnoText } from "./errno.ts";

/** A system or library call that failed: which one, and its errno. */
export class SysError extends Error {
  override readonly name = "SysError";
  /** The call, in the words of its man page: `setns`, `bpf(BPF_LINK_CREATE)`. */
  readonly call: string;
  /** Positive. */
  readonly errno: number;
  /** `ENOENT`. */
  readonly errnoName: string;

  /** `text` stands in for the errno's own where the library has a better one. */
  constructor(call: string, errno: number, text: string = errnoText(errno)) {
    super(`${call}: ${text}`);
    this.call = call;
    this.errno = errno;
    this.errnoName = errnoName(errno);
  }
}

/** Runs a node:fs call and turns its error into a {@link SysError}. */
export function fileCall<T>(call: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    const errno = errnoNumber(code);
    if (errno === null) throw error;
    throw new SysError(call, errno);
  }
}
