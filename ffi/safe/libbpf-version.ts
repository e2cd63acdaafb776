import { LIBBPF, VERSION_SYMBOLS } from "../raw/libbpf-symbols.ts";
import { findLibrary, textAt } from "./libc.ts";
import { openLibrary } from "./library.ts";

/** Kept, since opening a library costs memory that Bun does not give back. One that is missing may yet be installed. */
let found: string | null = null;

/** `1.1`, or null when there is no libbpf.so.1 or it cannot be called. Never throws. */
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
