/**
 * Names a process on this machine beyond the re-use of pids: `PID:START:NAMESPACE`, the start in clock ticks since boot,
 * the namespace as the inode of the PID namespace that the pid means something in.
 */
export type ProcessIdentity = string;
