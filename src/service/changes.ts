import type { ChangeAnswer } from "../domain/change-answer.ts";
import type { Change } from "../domain/change.ts";
import type { LinkRecord } from "../domain/link.ts";
import { dispatcherAnswer } from "../inspect/dispatcher-answer.ts";
import { linkRecordAnswer, type Surroundings, surroundingsOf } from "../inspect/link-answer.ts";
import { programRecordAnswer } from "../inspect/program-answer.ts";
import type { Host } from "../platform/host.ts";

/**
 * Converts entries of the change log to notifications. Whatever an answer contains beyond the record (positions on a
 * TCX hook, members of a chain) reflects the current state.
 */
export function changeAnswers(host: Host, entries: readonly Change[]): ChangeAnswer[] {
  if (entries.length === 0) return [];
  const links = host.store.links();
  const around = surroundingsOf(host, links);
  return entries.map((entry) => changeAnswer(entry, links, around));
}

function changeAnswer(entry: Change, links: readonly LinkRecord[], around: Surroundings): ChangeAnswer {
  const numbered = { sequence: entry.sequence, at: entry.at.toISOString() };
  switch (entry.kind) {
    case "program/didLoad":
    case "program/didUnload": {
      const record = entry.record && programRecordAnswer(entry.record);
      return { kind: entry.kind, change: { ...numbered, program_id: entry.programId, record } };
    }
    case "link/didAttach":
    case "link/didUpdate":
    case "link/didDetach": {
      const record = entry.record && linkRecordAnswer(entry.record, around);
      return {
        kind: entry.kind,
        change: { ...numbered, link_id: entry.linkId, program_id: entry.programId, record },
      };
    }
    case "dispatcher/didChange": {
      const dispatcher = entry.dispatcher && dispatcherAnswer(entry.dispatcher, links);
      const { type, nsid, ifindex } = entry.key;
      return { kind: entry.kind, change: { ...numbered, key: { type, nsid, ifindex }, dispatcher } };
    }
  }
}
