import { JSCallback, type Library, type Pointer } from "bun:ffi";
import { allocate, textUntilNul } from "../memory.ts";
import { LIBBPF, LIBBPF_SYMBOLS, RARE_LIBBPF_SYMBOLS } from "../raw/libbpf-symbols.ts";
import { SysError } from "../sys-error.ts";
import { findLibrary, seldomLibc } from "./libc.ts";
import { openLibrary } from "./library.ts";

export type Libbpf = Library<typeof LIBBPF_SYMBOLS>["symbols"];

let opened: Libbpf | undefined;
let printer: Pointer | null = null;

/** libbpf, opened on first use. Throws LibraryError. */
export function libbpf(): Libbpf {
  if (opened === undefined) {
    findLibrary(LIBBPF);
    opened = openLibrary(LIBBPF, LIBBPF_SYMBOLS);
    printer = printCallback();
    opened.libbpf_set_print(printer);
  }
  return opened;
}

let rare: Library<typeof RARE_LIBBPF_SYMBOLS>["symbols"] | undefined;

/** The functions of libbpf that few loads need. Throws LibraryError. */
export function rareLibbpf(): Library<typeof RARE_LIBBPF_SYMBOLS>["symbols"] {
  libbpf();
  rare ??= openLibrary(LIBBPF, RARE_LIBBPF_SYMBOLS);
  return rare;
}

/**
 * Returns `result` of a libbpf function. Throws SysError if it is negative: an errno, or from 4000 a libbpf error
 * number.
 */
export function checkedLibbpf(call: string, result: number): number {
  if (result < 0) throw libbpfError(call, -result);
  return result;
}

export function libbpfError(call: string, errno: number): SysError {
  const text = allocate(256);
  rareLibbpf().libbpf_strerror(errno, text, text.length);
  return new SysError(call, errno, textUntilNul(text));
}

/** enum libbpf_print_level; debug messages (2) are dropped. */
const LIBBPF_INFO = 1;
const MESSAGE_BYTES_MAX = 8192;
const MESSAGES_MAX = 256;

let sink: string[] | null = null;

/**
 * Calls `run` with libbpf's warnings collected in `messages`, without the `libbpf: ` prefix. Outside of it they are
 * dropped; they never reach the terminal. libbpf's print function is global, so only one thread may use libbpf.
 */
export function collectMessages<T>(messages: string[], run: () => T): T {
  const outer = sink;
  sink = messages;
  try {
    return run();
  } finally {
    sink = outer;
  }
}

/**
 * Calls `run`, in which libbpf says nothing. Otherwise it calls back for each message, also for those that are dropped: dozens
 * when it opens an object.
 */
export function silently<T>(run: () => T): T {
  const library = libbpf();
  library.libbpf_set_print(null);
  try {
    return run();
  } finally {
    library.libbpf_set_print(printer);
  }
}

/** libbpf keeps the function pointer for the lifetime of the process. */
const callbacks: JSCallback[] = [];

/** The print function given to libbpf: a printf format and a va_list. It must never throw into C. */
function printCallback(): Pointer {
  const buffer = allocate(MESSAGE_BYTES_MAX);
  const print = (level: number, format: Pointer, args: Pointer): number => {
    try {
      if (sink === null || level > LIBBPF_INFO || sink.length >= MESSAGES_MAX) return 0;
      // x86-64 and arm64 pass a va_list as a pointer, so it can be passed on as one.
      seldomLibc().vsnprintf(buffer, buffer.length, format, args);
      const message = textUntilNul(buffer)
        .replace(/^libbpf: /, "")
        .trimEnd();
      if (message !== "") sink.push(message);
    } catch {
      // Losing a message is better than crashing the process.
    }
    return 0;
  };
  const callback = new JSCallback(print, { args: ["i32", "ptr", "ptr"], returns: "i32" });
  if (callback.ptr === null) throw new Error("bun:ffi could not create a callback");
  callbacks.push(callback);
  return callback.ptr;
}
