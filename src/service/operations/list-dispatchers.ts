import type { DispatcherListAnswer } from "../../domain/answer.ts";
import { attachmentsOf } from "../../inspect/attachment.ts";
import { seenDispatcher } from "../../inspect/dispatcher.ts";
import type { Host } from "../../platform/host.ts";
import { operation } from "../operation.ts";
import { type ListDispatchersRequest, listDispatchersRequest } from "../requests/dispatchers.ts";

function listDispatchers(host: Host, { type, nsid, ifindex }: ListDispatchersRequest): DispatcherListAnswer {
  const links = host.store.links();
  const dispatchers = host.store
    .dispatchers()
    .filter((record) => record.revision > 0)
    .filter((record) => type === null || record.type === type)
    .filter((record) => nsid === null || record.nsid === nsid)
    .filter((record) => ifindex === null || record.ifindex === ifindex);
  const around = { links, attachments: attachmentsOf(host, { dispatchers, links: [] }) };
  return { dispatchers: dispatchers.map((record) => seenDispatcher(record, around)) };
}

export const implementation = operation({ request: listDispatchersRequest, run: listDispatchers });
