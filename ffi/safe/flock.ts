import { ERRNO } from "../errno.ts";
import { SysError } from "../sys-error.ts";
import { lastErrno, libc } from "./libc.ts";

const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;

/** Takes the exclusive flock(2) of an open file. Returns false if it is held elsewhere. Throws SysError. */
export const tryLockExclusive = (fd: number): boolean => tryLock(fd, LOCK_EX);

/** Likewise the shared one, which others may hold at the same time. */
export const tryLockShared = (fd: number): boolean => tryLock(fd, LOCK_SH);

function tryLock(fd: number, operation: number): boolean {
  for (;;) {
    if (libc().flock(fd, operation | LOCK_NB) === 0) return true;
    const errno = lastErrno();
    if (errno === ERRNO.EAGAIN) return false;
    if (errno !== ERRNO.EINTR) throw new SysError("flock", errno);
  }
}
