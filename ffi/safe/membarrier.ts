import { syscall } from "./libc.ts";

const MEMBARRIER_CMD_GLOBAL = 1;

/**
 * Waits until every BPF program that is at work on a packet has come to its end: a grace period of RCU, by membarrier(2)
 * (Linux 4.3). False when the kernel does not offer it: with nohz_full processors, or under seccomp.
 */
export const waitForRunningPrograms = (): boolean => syscall("membarrier", MEMBARRIER_CMD_GLOBAL, 0) === 0;
