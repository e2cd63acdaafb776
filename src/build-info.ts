/**
 * Identifies the build. `scripts/build.ts` replaces the two identifiers when it compiles the executable; they are
 * undefined when running from source.
 */
declare const BPFMAN_VERSION: string;
declare const BPFMAN_COMMIT: string;

export const buildInfo: { readonly version: string; readonly commit: string } = {
  version: typeof BPFMAN_VERSION === "string" ? BPFMAN_VERSION : "0.0.0-dev",
  /** Twelve hex digits, plus `-dirty` if the working tree had changes; `unknown` outside of git. */
  commit: typeof BPFMAN_COMMIT === "string" ? BPFMAN_COMMIT : "unknown",
};
