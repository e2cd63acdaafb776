/** System call numbers (arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h). */
const X86_64 = {
  bpf: 321,
  membarrier: 324,
  perf_event_open: 298,
  fsopen: 430,
  fsconfig: 431,
  fsmount: 432,
  openat2: 437,
} as const;
const ARM64 = {
  bpf: 280,
  membarrier: 283,
  perf_event_open: 241,
  fsopen: 430,
  fsconfig: 431,
  fsmount: 432,
  openat2: 437,
} as const;

export type SyscallName = keyof typeof X86_64;

export function syscallNumber(name: SyscallName): number {
  switch (process.arch) {
    case "x64":
      return X86_64[name];
    case "arm64":
      return ARM64[name];
    default:
      throw new Error(`no system call numbers for ${process.arch}`);
  }
}
