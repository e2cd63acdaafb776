import { dlopen, type FFIFunction, type Library } from "bun:ffi";

/** A shared library cannot be used. */
export class LibraryError extends Error {
  override readonly name = "LibraryError";
  /** `missing`: not found, or not loadable. `symbol`: it lacks `symbol`. `jit`: no native call can be made at all. */
  readonly reason: "missing" | "symbol" | "jit";
  readonly library: string;
  readonly symbol: string | null;

  constructor(reason: LibraryError["reason"], library: string, facts: { text: string; symbol?: string }) {
    super(facts.text);
    this.reason = reason;
    this.library = library;
    this.symbol = facts.symbol ?? null;
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/**
 * Opens a shared library that the dynamic linker is known to find. Throws {@link LibraryError}.
 * If the library may be missing, ask the linker first (findLibrary in `libc.ts`): when the linker finds none, Bun's
 * dlopen falls back to a file of that name in the current directory.
 */
export function openLibrary<Symbols extends Record<string, FFIFunction>>(
  library: string,
  symbols: Symbols,
): Library<Symbols>["symbols"] {
  try {
    return dlopen(library, symbols).symbols;
  } catch (error) {
    const text = messageOf(error);
    if (/requires the JIT/i.test(text)) throw new LibraryError("jit", library, { text });
    const symbol = /^Symbol "([^"]+)" not found/.exec(text)?.[1];
    if (symbol !== undefined) throw new LibraryError("symbol", library, { text, symbol });
    throw new LibraryError("missing", library, { text });
  }
}
