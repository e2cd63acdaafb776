import { LIBBPF, VERSION_SYMBOLS } from "../raw/libbpf-symbols.ts";
import { findLibrary, textAt } from "./libc.ts";
import { openLibrary } from "./library.ts";

/**
 * Cached, because opening a library uses memory that Bun does not free. A failure is not: libbpf may be installed
 * later.
 */
let found: string | null = null;

/** Returns `1.1`, or null if libbpf.so.1 is missing or cannot be called. Never throws. */
export function libbpfVersion(): string | null {
  if (found !== null) return found;
  try {
    findLibrary(LIBBPF);
    const version = openLibrary(LIBBPF, VERSION_SYMBOLS).libbpf_version_string();
    if (version !== null) found = textAt(version).replace(/^v/, "");
  } catch {
    return null;
  }
  return found;
}
