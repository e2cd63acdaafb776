import type { DispatcherListAnswer } from "../../domain/answer.ts";
import { dispatcherAnswer } from "../../inspect/dispatcher-answer.ts";
import type { Host } from "../../platform/host.ts";
import { operation } from "../operation.ts";
import { type ListDispatchersRequest, listDispatchersRequest } from "../requests/dispatcher-requests.ts";

function listDispatchers(host: Host, { type, nsid, ifindex }: ListDispatchersRequest): DispatcherListAnswer {
  const links = host.store.links();
  const dispatchers = host.store
    .dispatchers()
    .filter((record) => record.revision > 0)
    .filter((record) => type === null || record.type === type)
    .filter((record) => nsid === null || record.nsid === nsid)
    .filter((record) => ifindex === null || record.ifindex === ifindex);
  return { dispatchers: dispatchers.map((record) => dispatcherAnswer(record, links)) };
}

export const implementation = operation({ request: listDispatchersRequest, run: listDispatchers });
