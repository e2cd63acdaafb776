import type { DeleteDispatcherAnswer } from "../../domain/answer.ts";
import type { Host } from "../../platform/host.ts";
import { removeWholeChain } from "../chain/remove-member.ts";
import { type Context, operation } from "../operation.ts";
import { deleteDispatcherRequest, type GetDispatcherRequest } from "../requests/dispatcher-requests.ts";
import { requireDispatcher } from "../require-record.ts";

/** Removes a whole chain from its hook. Its programs stay loaded. */
async function deleteDispatcher(
  host: Host,
  key: GetDispatcherRequest,
  context: Context,
): Promise<DeleteDispatcherAnswer> {
  const record = requireDispatcher(host, key);
  context.note({ place: `${record.type} ${record.interface}` });
  const detached = await removeWholeChain(host, record, context);
  context.note({ links: detached });
  const { type, nsid, ifindex } = key;
  return { key: { type, nsid, ifindex }, detached };
}

export const implementation = operation({ request: deleteDispatcherRequest, run: deleteDispatcher });
