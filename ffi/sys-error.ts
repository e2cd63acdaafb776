import { errnoName, errnoNumber, errnoText } from "./errno.ts";

/** A failed system or library call: its name and errno. */
export class SysError extends Error {
  override readonly name = "SysError";
  /** The call as its man page spells it: `setns`, `bpf(BPF_LINK_CREATE)`. */
  readonly call: string;
  /** Positive. */
  readonly errno: number;
  /** `ENOENT`. */
  readonly errnoName: string;

  /** `text` overrides the errno's text if the library has a better one. */
  constructor(call: string, errno: number, text: string = errnoText(errno)) {
    super(`${call}: ${text}`);
    this.call = call;
    this.errno = errno;
    this.errnoName = errnoName(errno);
  }
}

/** Runs a node:fs call and converts its error to a {@link SysError}. */
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
