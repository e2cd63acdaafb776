import type { DispatcherKey, DispatcherRecord } from "../domain/dispatcher.ts";
import { BpfmanError } from "../errors/error.ts";
import type { Host } from "../platform/host.ts";

/** The chain on a hook. Throws DISPATCHER_NOT_FOUND, also while the first one is only being made. */
export function requireDispatcher(host: Host, key: DispatcherKey): DispatcherRecord {
  const record = host.store.dispatcher(key);
  if (record !== null && record.revision > 0) return record;
  const { type, nsid, ifindex } = key;
  throw new BpfmanError("DISPATCHER_NOT_FOUND", `dispatcher ${type} ${nsid} ${ifindex} does not exist`, {
    details: { type, nsid, ifindex },
  });
}
