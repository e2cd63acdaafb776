import type { LinkDetails } from "../../domain/link.ts";
import type { ErrorCode } from "../../errors/codes.ts";
import { BpfmanError } from "../../errors/error.ts";
import type { Host } from "../../platform/host.ts";
import { findInterface } from "../attach/interface.ts";

/** What may come while the machine starts. */
export const MAY_COME: ReadonlySet<string> = new Set<ErrorCode>(["INTERFACE_NOT_FOUND", "NETNS_NOT_FOUND"]);

/** Returns why a link cannot be attached again, however long one waits. The kernel gives process IDs to others. */
export function neverAgain(details: LinkDetails): BpfmanError | null {
  const processes = [
    "pid" in details ? details.pid : null,
    "containerPid" in details ? details.containerPid : null,
  ].filter((pid) => pid !== null);
  const [pid] = processes;
  if (pid === undefined) return null;
  return new BpfmanError("PROCESS_NOT_FOUND", `process ${pid} ended with the last boot`, {
    details: { pid },
    hint: "attach the program to the process that there is now",
  });
}

/** Returns what is missing for a link now, as far as that can be found without attaching it; null if nothing is. */
export function obstacle(host: Host, details: LinkDetails): BpfmanError | null {
  try {
    if ("interface" in details) findInterface(host, details.interface, details.netns);
    else if ("netns" in details) host.network.namespaceId(details.netns);
  } catch (thrown) {
    if (thrown instanceof BpfmanError) return thrown;
    throw thrown;
  }
  return neverAgain(details);
}
