import { syscall } from "./libc.ts";

const MEMBARRIER_CMD_GLOBAL = 1;

/**
 * Waits for an RCU grace period with membarrier(2) (Linux 4.3), so that every BPF program that was running has
 * finished. Returns false if the kernel does not offer it: on nohz_full CPUs, or under seccomp.
 */
export const waitForRunningPrograms = (): boolean => syscall("membarrier", MEMBARRIER_CMD_GLOBAL, 0) === 0;
