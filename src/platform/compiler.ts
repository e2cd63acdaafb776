/** Something that a compiler says about a source. */
export interface Diagnostic {
  readonly severity: "error" | "warning" | "note";
  readonly message: string;
  /** The option that switches it on; null for what is always reported. */
  readonly option: string | null;
  readonly file: string | null;
  readonly line: number | null;
  readonly column: number | null;
}

export interface Compiled {
  /** Null if it does not compile. */
  readonly bytes: Uint8Array | null;
  readonly diagnostics: readonly Diagnostic[];
  /** What the compiler said besides, if it did not compile. */
  readonly output: string;
}

/** Compiles C to eBPF. */
export interface CompilerPort {
  /**
   * Compiles the file at an absolute path, with the flags that a compilation database above it has for it, as far as they are
   * harmless. Throws COMPILER_MISSING, COMPILATION_DATABASE_INVALID, COMPILE_FAILED if the compiler itself fails, CANCELLED.
   */
  compile(path: string, signal: AbortSignal): Promise<Compiled>;
}
