import type { DispatcherKey, DispatcherRecord } from "./dispatcher.ts";
import type { LinkId, ProgramId } from "./ids.ts";
import type { LinkRecord } from "./link.ts";
import type { ProgramRecord } from "./program.ts";

/** The kinds of change, named like their notifications. */
export const CHANGE_KINDS = [
  "program/didLoad",
  "program/didUnload",
  "link/didAttach",
  "link/didUpdate",
  "link/didDetach",
  "dispatcher/didChange",
] as const;
export type ChangeKind = (typeof CHANGE_KINDS)[number];

interface Numbered {
  /** Increases across all processes and is never reused. */
  readonly sequence: number;
  readonly at: Date;
}

/**
 * An entry of the change log. `record` is the state after the change, or the last state of what was removed; null if it
 * was too large for the log. `dispatcher` is null if the dispatcher was removed.
 */
export type Change = Numbered &
  (
    | {
        readonly kind: "program/didLoad" | "program/didUnload";
        readonly programId: ProgramId;
        readonly record: ProgramRecord | null;
      }
    | {
        readonly kind: "link/didAttach" | "link/didUpdate" | "link/didDetach";
        readonly linkId: LinkId;
        readonly programId: ProgramId;
        readonly record: LinkRecord | null;
      }
    | {
        readonly kind: "dispatcher/didChange";
        readonly key: DispatcherKey;
        readonly dispatcher: DispatcherRecord | null;
      }
  );

/** A section of the change log. */
export interface Changes<Entry = Change> {
  /** Ascending. */
  readonly entries: readonly Entry[];
  /** False if older entries are missing because they were trimmed or the machine was rebooted. */
  readonly complete: boolean;
  /** Sequence number of the newest entry ever written; 0 if there was none. */
  readonly latest: number;
}
