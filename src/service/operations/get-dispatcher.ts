import type { DispatcherDetailAnswer } from "../../domain/answer.ts";
import { attachmentsOf } from "../../inspect/attachment.ts";
import { seenDispatcher, memberAnswers } from "../../inspect/dispatcher.ts";
import type { Host } from "../../platform/host.ts";
import { requireDispatcher } from "../dispatchers.ts";
import { operation } from "../operation.ts";
import { type GetDispatcherRequest, getDispatcherRequest } from "../requests/dispatchers.ts";

function getDispatcher(host: Host, key: GetDispatcherRequest): DispatcherDetailAnswer {
  const record = requireDispatcher(host, key);
  const around = { links: host.store.links(), attachments: attachmentsOf(host, { dispatchers: [record], links: [] }) };
  return { ...seenDispatcher(record, around), members: memberAnswers(host, record) };
}

export const implementation = operation({ request: getDispatcherRequest, run: getDispatcher });
