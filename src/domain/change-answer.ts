/** What is told of a change: the notifications of the JSON-RPC server. */
import type { DispatcherAnswer, LinkRecordAnswer, ProgramRecordAnswer } from "./answer.ts";
import type { ChangeKind } from "./change.ts";

interface ChangeOf {
  /** Increasing over all processes, and never given twice. */
  readonly sequence: number;
  readonly at: string;
}
/**
 * `record` is what the change made of it, or the last there was of what has gone. Null when it is too large for the log
 * (64 KiB).
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
  /** Null when the last member has left and the dispatcher is gone. */
  readonly dispatcher: DispatcherAnswer | null;
}

/** What is told of a change, by its kind. */
export interface ChangeAnswers {
  "program/didLoad": ProgramChangeAnswer;
  "program/didUnload": ProgramChangeAnswer;
  "link/didAttach": LinkChangeAnswer;
  /** Its place or its conditions in a chain: priority, proceed-on, position, and the kernel's link. */
  "link/didUpdate": LinkChangeAnswer;
  "link/didDetach": LinkChangeAnswer;
  "dispatcher/didChange": DispatcherChangeAnswer;
}
export type ChangeAnswer = {
  [Kind in ChangeKind]: { readonly kind: Kind; readonly change: ChangeAnswers[Kind] };
}[ChangeKind];
