import { LIBBPF } from "../raw/libbpf.ts";
import { VERSION_SYMBOLS } from "../raw/libbpf-optional.ts";
import { findLibrary, textAt } from "./libc.ts";
import { openLibrary } from "./library.ts";

/** `1.1`, or null when there is no libbpf.so.1 or it cannot be called. Never throws. */
export function libbpfVersion(): string | null {
  try {
    findLibrary(LIBBPF);
    const version = openLibrary(LIBBPF, VERSION_SYMBOLS).libbpf_version_string();
    return version === null ? null : textAt(version).replace(/^v/, "");
  } catch {
    return null;
  }
}
