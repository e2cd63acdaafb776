import { libc } from "./libc.ts";

/**
 * _exit(2): the process ends here and now, as if it were killed, with an exit code. Databases are not closed, buffers not
 * written, nobody is told. Throws LibraryError where no C library can be called.
 */
export function exitAtOnce(code: number): never {
  libc()._exit(code);
  throw new Error("_exit(2) returned");
}
