import type { DispatcherDetailAnswer } from "../../domain/answer.ts";
import { BpfmanError } from "../../errors/error.ts";
import { dispatcherAnswer, memberAnswers } from "../../inspect/dispatcher.ts";
import type { Host } from "../../platform/host.ts";
import { operation } from "../operation.ts";
import { type GetDispatcherRequest, getDispatcherRequest } from "../requests/dispatchers.ts";

function getDispatcher(host: Host, key: GetDispatcherRequest): DispatcherDetailAnswer {
  const record = host.store.dispatcher(key);
  if (record === null || record.revision === 0) {
    const { type, nsid, ifindex } = key;
    throw new BpfmanError("DISPATCHER_NOT_FOUND", `dispatcher ${type} ${nsid} ${ifindex} does not exist`, {
      details: { type, nsid, ifindex },
    });
  }
  return { ...dispatcherAnswer(record, host.store.links()), members: memberAnswers(host, record) };
}

export const implementation = operation({ request: getDispatcherRequest, run: getDispatcher });
