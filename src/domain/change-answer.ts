/** The payloads of change notifications sent by the JSON-RPC server. */
import type { DispatcherAnswer, LinkRecordAnswer, ProgramRecordAnswer } from "./answer.ts";
import type { ChangeKind } from "./change.ts";

interface ChangeOf {
  /** Increases across all processes and is never reused. */
  readonly sequence: number;
  readonly at: string;
}
/**
 * `record` is the state after the change, or the last state of what was removed. Null if it exceeds the change log's
 * limit (64 KiB).
 */
export interface ProgramChangeAnswer extends ChangeOf {
  readonly program_id: number;
  readonly record: ProgramRecordAnswer | null;
}
export interface LinkChangeAnswer extends ChangeOf {
  readonly link_id: number;
  readonly program_id: number;
  readonly record: LinkRecordAnswer | null;
}
export interface DispatcherChangeAnswer extends ChangeOf {
  readonly key: { readonly type: string; readonly nsid: number; readonly ifindex: number };
  /** Null if the last member was detached and the dispatcher is gone. */
  readonly dispatcher: DispatcherAnswer | null;
}

/** The payloads by kind of change. */
export interface ChangeAnswers {
  "program/didLoad": ProgramChangeAnswer;
  "program/didUnload": ProgramChangeAnswer;
  "link/didAttach": LinkChangeAnswer;
  /** A change of its place or conditions in a chain: priority, proceed-on, position, or kernel link. */
  "link/didUpdate": LinkChangeAnswer;
  "link/didDetach": LinkChangeAnswer;
  "dispatcher/didChange": DispatcherChangeAnswer;
}
export type ChangeAnswer = {
  [Kind in ChangeKind]: { readonly kind: Kind; readonly change: ChangeAnswers[Kind] };
}[ChangeKind];
