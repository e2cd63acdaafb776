import { addressOf, allocate, keepAlive } from "../memory.ts";
import { checked, seldomLibc, syscall } from "./libc.ts";
import { SysError } from "../sys-error.ts";

const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGKILL: 9, SIGTERM: 15 } as const;

/** No less than sizeof(struct sigaction). All zero, it is the default action, SIG_DFL. */
const SIGACTION_BYTES = 256;

/**
 * Runs `work`, a native call that may take minutes, with the default action for the signals that terminate: they end
 * the process. JavaScript cannot run meanwhile, so a handler in it would only be called afterwards; and libbpf starts a
 * verification that a signal interrupted all over again. Throws SysError.
 */
export function withDefaultSignals<T>(work: () => T): T {
  const defaults = allocate(SIGACTION_BYTES);
  const handlers = [SIGNALS.SIGHUP, SIGNALS.SIGINT, SIGNALS.SIGTERM].map((signal) => {
    const handler = allocate(SIGACTION_BYTES);
    checked("sigaction", seldomLibc().sigaction(signal, defaults, handler));
    return { signal, handler };
  });
  try {
    return work();
  } finally {
    for (const { signal, handler } of handlers) checked("sigaction", seldomLibc().sigaction(signal, handler, null));
  }
}

/** include/uapi/linux/prctl.h */
const PR_SET_PDEATHSIG = 1;
const PR_SET_NAME = 15;

/**
 * Has the kernel kill this process, even in the middle of a system call, as soon as the thread that started it ends.
 * Has no effect if that has happened already. Throws SysError.
 */
export function dieWithParent(): void {
  const result = syscall("prctl", PR_SET_PDEATHSIG, SIGNALS.SIGKILL);
  if (result < 0) throw new SysError("prctl", -result);
}

/** Sets the name that tools such as ps show for this process, of at most 15 bytes. */
export function setProcessName(name: string): void {
  const text = allocate(16);
  text.set(new TextEncoder().encode(name).subarray(0, 15));
  syscall("prctl", PR_SET_NAME, addressOf(text));
  keepAlive(text);
}
