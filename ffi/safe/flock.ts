import { ERRNO } from "../errno.ts";
import { SysError } from "../sys-error.ts";
import { lastErrno, libc } from "./libc.ts";

const LOCK_EX = 2;
const LOCK_NB = 4;

/** Takes the exclusive flock(2) of an open file. Returns false if it is held elsewhere. Throws SysError. */
export function tryLockExclusive(fd: number): boolean {
  for (;;) {
    if (libc().flock(fd, LOCK_EX | LOCK_NB) === 0) return true;
    const errno = lastErrno();
    if (errno === ERRNO.EAGAIN) return false;
    if (errno !== ERRNO.EINTR) throw new SysError("flock", errno);
  }
}
