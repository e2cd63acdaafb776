/** An instruction of a program as it was handed to the kernel, and the line of source that it was compiled from. */
export interface SourceLine {
  /** Counted from the program's first, functions that it calls included, as the verifier's log counts. */
  readonly instruction: number;
  /** The function in which it stands, after inlining. */
  readonly function: string;
  /** As the compiler was given it; null, as all that follows, when the object was compiled without -g. */
  readonly file: string | null;
  /** From 1. */
  readonly line: number | null;
  /** From 1, in bytes; null when the compiler does not say. */
  readonly column: number | null;
  /** The line's text. */
  readonly text: string | null;
}
