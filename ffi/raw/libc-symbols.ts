import type { FFIFunction } from "bun:ffi";

export const LIBC = "libc.so.6";

/** The libc functions that most commands call. A single missing symbol makes a table unusable. */
export const LIBC_SYMBOLS = {
  __errno_location: { args: [], returns: "ptr" },
  _exit: { args: ["i32"], returns: "void" },
  clock_gettime: { args: ["i32", "ptr"], returns: "i32" },
  close: { args: ["i32"], returns: "i32" },
  flock: { args: ["i32", "i32"], returns: "i32" },
  /**
   * syscall(2) is variadic. Declaring it with fixed arguments works on x86-64 and arm64, which pass these in registers:
   * the system call number and five arguments. Pointers are passed as addresses.
   */
  syscall: { args: ["i64", "i64", "i64", "i64", "i64", "i64"], returns: "i64" },
} as const satisfies Record<string, FFIFunction>;

/** The symbols that most commands do not call: looking up each of them takes 16,000 instructions, so they have a table of their own. */
export const SELDOM_SYMBOLS = {
  dlerror: { args: [], returns: "ptr" },
  dlopen: { args: ["ptr", "i32"], returns: "ptr" },
  dlsym: { args: ["ptr", "ptr"], returns: "ptr" },
  if_indextoname: { args: ["u32", "ptr"], returns: "ptr" },
  mmap: { args: ["ptr", "u64", "i32", "i32", "i32", "i64"], returns: "i64" },
  mount: { args: ["ptr", "ptr", "ptr", "u64", "ptr"], returns: "i32" },
  munmap: { args: ["ptr", "u64"], returns: "i32" },
  recv: { args: ["i32", "ptr", "u64", "i32"], returns: "i64" },
  send: { args: ["i32", "ptr", "u64", "i32"], returns: "i64" },
  setns: { args: ["i32", "i32"], returns: "i32" },
  setsockopt: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" },
  sigaction: { args: ["i32", "ptr", "ptr"], returns: "i32" },
  socket: { args: ["i32", "i32", "i32"], returns: "i32" },
  vsnprintf: { args: ["ptr", "u64", "ptr", "ptr"], returns: "i32" },
} as const satisfies Record<string, FFIFunction>;
