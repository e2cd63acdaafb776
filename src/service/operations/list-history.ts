import type { HistoryAnswer, HistoryEntryAnswer } from "../../domain/answer.ts";
import type { PastOperation } from "../../domain/history.ts";
import type { Host } from "../../platform/host.ts";
import { type Context, operation } from "../operation.ts";
import { linkIdOf, programIdOf } from "../require-record.ts";
import { type HistoryRequest, historyRequest } from "../requests/history-request.ts";

const microseconds = (ms: number): number => Math.round(ms * 1000);

function entryAnswer({ caller, facts, ...entry }: PastOperation): HistoryEntryAnswer {
  const { verified_instructions: instructions, load_ms: loadMs } = facts;
  return {
    id: entry.id,
    at: entry.startedAt.toISOString(),
    boot_id: entry.bootId,
    user: { uid: caller.uid, login_uid: caller.loginUid, sudo_uid: caller.sudoUid },
    parent: { pid: caller.parentPid, command: caller.parentCommand },
    operation: entry.operation,
    programs: facts.programs ?? [],
    links: facts.links ?? [],
    place: facts.place ?? null,
    source: facts.source ?? null,
    result: entry.result,
    message: facts.message ?? null,
    duration_us: microseconds(entry.durationMs),
    verification:
      instructions === undefined ? null : { instructions, load_us: loadMs === undefined ? null : microseconds(loadMs) },
  };
}

function listHistory(host: Host, request: HistoryRequest, context: Context): HistoryAnswer {
  const { since, failed, limit } = request;
  const programId = request.programId === null ? null : programIdOf(host, request.programId, context);
  const linkId = request.linkId === null ? null : linkIdOf(host, request.linkId, context);
  const operations: HistoryEntryAnswer[] = [];
  for (const entry of host.store.operations(since === null ? null : new Date(since))) {
    if (programId !== null && !entry.facts.programs?.includes(programId)) continue;
    if (linkId !== null && !entry.facts.links?.includes(linkId)) continue;
    if (failed && entry.result === "ok") continue;
    operations.push(entryAnswer(entry));
    if (operations.length === limit) break;
  }
  return { operations: operations.reverse() };
}

export const implementation = operation({ request: historyRequest, uses: () => ["store", "pins"], run: listHistory });
