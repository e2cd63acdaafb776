/** The history of operations that changed something, or tried to. */

/** Who runs an operation. */
export interface Caller {
  /** The real user ID: root's, mostly. */
  readonly uid: number;
  /** Who logged in, as the kernel remembers across `sudo` and `su`; null for services. */
  readonly loginUid: number | null;
  /** Who called sudo, as sudo says; null without it. */
  readonly sudoUid: number | null;
  readonly parentPid: number;
  /** Name of the parent process (15 bytes at most); null if it has exited. */
  readonly parentCommand: string | null;
}

/** What an operation was about: plain JSON, without nested objects. Lists and texts that are too long are cut. */
export interface Facts {
  /** Programs loaded, removed or used. */
  readonly programs?: readonly number[];
  readonly links?: readonly number[];
  /** The hook, as in `tcx eth0 ingress`; or the map and its key in hex, as in `map 17 counters 01000000`. */
  readonly place?: string;
  /** The file or image that programs were loaded from. */
  readonly source?: string;
  /** All of a load's programs together, as the verifier counts. */
  readonly verified_instructions?: number;
  /** Duration of the calls that load them. */
  readonly load_ms?: number;
  /** The message of the error, or what was repaired. */
  readonly message?: string;
}

/** An entry of the history. */
export interface OperationEntry {
  /** A name of the operations table, or one of {@link BY_ITSELF}. */
  readonly operation: string;
  readonly startedAt: Date;
  readonly durationMs: number;
  readonly caller: Caller;
  /** `ok`, or the error code. */
  readonly result: string;
  readonly facts: Facts;
}

/** What bpfman does without being asked: clean up after killed commands, and remove what belonged to an ended session. */
export const BY_ITSELF = { recovery: "recovery", sessionEnd: "session/end" } as const;

/** A stored entry. */
export interface PastOperation extends OperationEntry {
  /** Ascending, never reused. */
  readonly id: number;
  /** IDs of programs are only unique within a boot. */
  readonly bootId: string;
}
