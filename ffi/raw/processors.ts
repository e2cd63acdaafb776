/** What differs between the processors that bpfman runs on. Structs do not (scripts/generate-layouts.ts). */

/** arch/x86/entry/syscalls/syscall_64.tbl */
const X86_64 = {
  bind: 49,
  bpf: 321,
  faccessat: 269,
  fcntl: 72,
  fsync: 74,
  ftruncate: 77,
  getdents64: 217,
  ioctl: 16,
  membarrier: 324,
  mkdirat: 258,
  openat: 257,
  perf_event_open: 298,
  ppoll: 271,
  prctl: 157,
  fsopen: 430,
  fsconfig: 431,
  fsmount: 432,
  openat2: 437,
  pread64: 17,
  read: 0,
  readlinkat: 267,
  renameat2: 316,
  statfs: 137,
  statx: 332,
  symlinkat: 266,
  umount2: 166,
  unlinkat: 263,
  utimensat: 280,
  write: 1,
} as const;
/** include/uapi/asm-generic/unistd.h */
const ARM64 = {
  bind: 200,
  bpf: 280,
  faccessat: 48,
  fcntl: 25,
  fsync: 82,
  ftruncate: 46,
  getdents64: 61,
  ioctl: 29,
  membarrier: 283,
  mkdirat: 34,
  openat: 56,
  perf_event_open: 241,
  ppoll: 73,
  prctl: 167,
  fsopen: 430,
  fsconfig: 431,
  fsmount: 432,
  openat2: 437,
  pread64: 67,
  read: 63,
  readlinkat: 78,
  renameat2: 276,
  statfs: 43,
  statx: 291,
  symlinkat: 36,
  umount2: 39,
  unlinkat: 35,
  utimensat: 88,
  write: 64,
} as const;

export type SyscallName = keyof typeof X86_64;

export const SYSTEM_CALLS: Readonly<Record<string, Readonly<Record<SyscallName, number>>>> = {
  x64: X86_64,
  arm64: ARM64,
};

/** Flags of open(2): include/uapi/asm-generic/fcntl.h, arch/arm64/include/uapi/asm/fcntl.h */
export const OPEN_FLAGS = {
  x64: { O_DIRECTORY: 0o200000, O_NOFOLLOW: 0o400000 },
  arm64: { O_DIRECTORY: 0o40000, O_NOFOLLOW: 0o100000 },
} as const;

let numbers: Readonly<Record<SyscallName, number>> | undefined;

export function syscallNumber(name: SyscallName): number {
  numbers ??= SYSTEM_CALLS[process.arch];
  if (numbers === undefined) throw new Error(`no system call numbers for ${process.arch}`);
  return numbers[name];
}
