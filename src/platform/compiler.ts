import type { DiagnosticAnswer } from "../domain/check-answer.ts";

export interface Compiled {
  /** Null if it does not compile. */
  readonly bytes: Uint8Array | null;
  readonly diagnostics: readonly DiagnosticAnswer[];
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
