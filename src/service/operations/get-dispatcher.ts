import type { DispatcherDetailAnswer } from "../../domain/answer.ts";
import { attachmentsOf } from "../../inspect/attachment.ts";
import { memberAnswers, seenDispatcher } from "../../inspect/dispatcher-answer.ts";
import type { Host } from "../../platform/host.ts";
import { requireDispatcher } from "../require-record.ts";
import { operation } from "../operation.ts";
import { type GetDispatcherRequest, getDispatcherRequest } from "../requests/dispatcher-requests.ts";

function getDispatcher(host: Host, key: GetDispatcherRequest): DispatcherDetailAnswer {
  const record = requireDispatcher(host, key);
  const around = { links: host.store.links(), attachments: attachmentsOf(host, { dispatchers: [record], links: [] }) };
  return { ...seenDispatcher(record, around), members: memberAnswers(host, record) };
}

export const implementation = operation({ request: getDispatcherRequest, run: getDispatcher });
