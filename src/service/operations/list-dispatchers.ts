import type { DispatcherListAnswer, SeenDispatcherAnswer } from "../../domain/answer.ts";
import { attachmentsOf } from "../../inspect/attachment.ts";
import { seenDispatcher } from "../../inspect/dispatcher-answer.ts";
import type { Host } from "../../platform/host.ts";
import { operation } from "../operation.ts";
import { type ListDispatchersRequest, listDispatchersRequest } from "../requests/dispatcher-requests.ts";

async function foreign(host: Host, ours: readonly SeenDispatcherAnswer[]): Promise<SeenDispatcherAnswer[]> {
  const { foreignDispatchers } = await import("../../inspect/foreign-dispatchers.ts");
  return foreignDispatchers(host, new Set(ours.flatMap(({ runtime }) => runtime.program_id ?? [])));
}

async function listDispatchers(host: Host, request: ListDispatchersRequest): Promise<DispatcherListAnswer> {
  const { type, nsid, ifindex, all } = request;
  const links = host.store.links();
  const records = host.store.dispatchers().filter((record) => record.revision > 0);
  const around = { links, attachments: attachmentsOf(host, { dispatchers: records, links: [] }) };
  const ours = records.map((record) => seenDispatcher(record, around));
  const dispatchers = [...ours, ...(all ? await foreign(host, ours) : [])]
    .filter(({ key }) => type === null || key.type === type)
    .filter(({ key }) => nsid === null || key.nsid === nsid)
    .filter(({ key }) => ifindex === null || key.ifindex === ifindex);
  return { dispatchers };
}

export const implementation = operation({ request: listDispatchersRequest, run: listDispatchers });
