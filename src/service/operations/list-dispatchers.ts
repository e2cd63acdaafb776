import type { DispatcherAnswer, DispatcherListAnswer } from "../../domain/answer.ts";
import { dispatcherAnswer } from "../../inspect/dispatcher-answer.ts";
import type { Host } from "../../platform/host.ts";
import { operation } from "../operation.ts";
import { type ListDispatchersRequest, listDispatchersRequest } from "../requests/dispatcher-requests.ts";

async function foreign(host: Host, ours: readonly DispatcherAnswer[]): Promise<DispatcherAnswer[]> {
  const { foreignDispatchers } = await import("../../inspect/foreign-dispatchers.ts");
  return foreignDispatchers(host, new Set(ours.flatMap(({ runtime }) => runtime.program_id ?? [])));
}

async function listDispatchers(host: Host, request: ListDispatchersRequest): Promise<DispatcherListAnswer> {
  const { type, nsid, ifindex, all } = request;
  const links = host.store.links();
  const ours = host.store
    .dispatchers()
    .filter((record) => record.revision > 0)
    .map((record) => dispatcherAnswer(record, links));
  const dispatchers = [...ours, ...(all ? await foreign(host, ours) : [])]
    .filter(({ key }) => type === null || key.type === type)
    .filter(({ key }) => nsid === null || key.nsid === nsid)
    .filter(({ key }) => ifindex === null || key.ifindex === ifindex);
  return { dispatchers };
}

export const implementation = operation({ request: listDispatchersRequest, run: listDispatchers });
