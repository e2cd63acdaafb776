/** The writer lock, held over processes by flock(2) on a file. */
export interface LockPort {
  /**
   * Waits until the lock is ours; `timeoutMs` 0 waits for ever. Throws LOCK_TIMEOUT naming the holder's pid, CANCELLED
   * when the signal fires.
   */
  acquire(timeoutMs: number, signal: AbortSignal): Promise<HeldLock>;
}

export interface HeldLock {
  /**
   * Gives the lock back, which it does also when it throws. Harmless when repeated. With `remove`, the file goes as well,
   * and its directory if nothing else is in it: the last thing to be done there.
   */
  release(how?: { readonly remove: boolean }): void;
}
