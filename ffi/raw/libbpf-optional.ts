import type { FFIFunction } from "bun:ffi";

/** Wanted also of a libbpf that is too old for the required table, to say so: since libbpf 0.6. */
export const VERSION_SYMBOLS = {
  libbpf_version_string: { args: [], returns: "ptr" },
} as const satisfies Record<string, FFIFunction>;
