/** What `check` and `inspect` answer, as JSON. */
import type { SourceLine } from "./object-file.ts";

/** The version of the costs that `check` saves; another one is not read. */
export const COSTS_VERSION = 1;

/** What a program costs the verifier. */
export interface CostAnswer {
  /** Instructions processed, over all paths: what counts towards the kernel's limit of a million. */
  readonly verified_instructions: number;
  readonly total_states: number;
  readonly peak_states: number;
  readonly max_states_per_instruction: number;
  /** Bytes, of the program and all functions that it calls. Null where the kernel does not say. */
  readonly stack_bytes: number | null;
  /** Microseconds. Null where the kernel does not say. */
  readonly verification_time_us: number | null;
  /** Bytes; 0 if the program is interpreted. */
  readonly jited_bytes: number;
}

/** Why a program cannot be loaded, or a source not be compiled. */
export interface RefusalAnswer {
  /** Stable; docs/errors.md lists all codes. */
  readonly code: string;
  readonly message: string;
  /** In the words of the verifier, of libbpf or of the compiler. */
  readonly reason: string;
  readonly hint: string | null;
  /** The line that was refused; null if there is none to blame, or none is known. */
  readonly source: SourceLine | null;
  /** The lines that led to it, oldest first, as far as the log has them. */
  readonly path: readonly SourceLine[];
  /** Where the reference was acquired that is not released. */
  readonly acquired: SourceLine | null;
  /** The whole log of the verifier; null if it was not reached. */
  readonly verifier_log: string | null;
}

/** What a baseline says about a program, and the difference. */
export interface ComparisonAnswer {
  /** Null if the program was refused then. */
  readonly verified_instructions: number | null;
  /** Instructions in percent of those in the baseline, above (or below) 100. Null unless it is accepted now and then. */
  readonly change_percent: number | null;
  /** It costs more than is tolerated, or was accepted then and is refused now. */
  readonly worse: boolean;
}

export interface CheckedProgramAnswer {
  readonly name: string;
  readonly section: string;
  /** As in lists of programs: `tc`, `cgroup-skb`. */
  readonly type: string;
  /** `skipped`: it cannot be checked by itself; `reason` says why. */
  readonly verdict: "accepted" | "refused" | "skipped";
  readonly reason: string | null;
  /** Null unless it is accepted. */
  readonly cost: CostAnswer | null;
  /** Null unless it is refused. */
  readonly refusal: RefusalAnswer | null;
  /** Null without a baseline, or if that does not have the program. */
  readonly baseline: ComparisonAnswer | null;
}

/** Something that the compiler says. */
export interface DiagnosticAnswer {
  readonly severity: "error" | "warning" | "note";
  readonly message: string;
  /** The option that switches it on, as in `-Wunused-variable`; null for what is always reported. */
  readonly option: string | null;
  readonly file: string | null;
  /** From 1, as is the column. */
  readonly line: number | null;
  readonly column: number | null;
}

export interface CheckedFileAnswer {
  /** As it was given. */
  readonly path: string;
  readonly kind: "object" | "source";
  /** What the compiler says about a source. */
  readonly diagnostics: readonly DiagnosticAnswer[];
  /** Why a source has no programs: it does not compile. */
  readonly refusal: RefusalAnswer | null;
  readonly programs: readonly CheckedProgramAnswer[];
}

export interface CheckAnswer {
  /** Of the running kernel, as in `uname -r`. */
  readonly kernel: string;
  /** Nothing is refused, and nothing costs more than is tolerated. */
  readonly passed: boolean;
  /** Null without one. `kernel` is where its costs come from. */
  readonly baseline: { readonly path: string; readonly kernel: string; readonly tolerance_percent: number } | null;
  readonly files: readonly CheckedFileAnswer[];
}

/** The costs that `--save` writes and `--baseline` reads. */
export interface SavedCosts {
  readonly version: typeof COSTS_VERSION;
  readonly kernel: string;
  readonly programs: readonly {
    readonly file: string;
    readonly program: string;
    readonly cost: CostAnswer | null;
  }[];
}
