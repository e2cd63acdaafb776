import type { DispatcherKey, DispatcherRecord } from "./dispatcher.ts";
import type { LinkId, ProgramId } from "./ids.ts";
import type { LinkRecord } from "./link.ts";
import type { ProgramRecord } from "./program.ts";

/** What can change, in the words of the notifications that tell of it. */
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
  /** Increasing over all processes, and never given twice. */
  readonly sequence: number;
  readonly at: Date;
}

/**
 * An entry of the change log. `record` is what the change made, or the last there was of what has gone; null when it was
 * too large for the log. A `dispatcher` that has gone is null.
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

/** A part of the change log. */
export interface Changes<Entry = Change> {
  /** Ascending. */
  readonly entries: readonly Entry[];
  /** False when older entries than these are missing: they were trimmed, or the machine was restarted since. */
  readonly complete: boolean;
  /** Number of the newest entry that the log ever had; 0 for none. */
  readonly latest: number;
}
