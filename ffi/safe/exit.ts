import { libc } from "./libc.ts";

/**
 * _exit(2): ends the process immediately with an exit code, as if it were killed. No database is closed, no buffer
 * flushed, no exit handler called. Throws LibraryError if libc cannot be called.
 */
export function exitAtOnce(code: number): never {
  libc()._exit(code);
  throw new Error("_exit(2) returned");
}
