/** The reverse of an attach: from what a link is attached to, the request that would attach it there again. */
import { ACTIONS, actionName } from "../../domain/actions.ts";
import type { XdpMode } from "../../domain/config.ts";
import type { MapId } from "../../domain/ids.ts";
import type { LinkDetails } from "../../domain/link.ts";
import type { AttachTarget } from "../requests/attach-request.ts";

/** What the details of a link do not say. */
export interface Around {
  /** The name or the pin path of a map, by which it is found again; null if it is gone. */
  mapName(id: MapId): string | null;
  /** The mode in which the chain of an XDP link runs; null for the one that is chosen by default. */
  readonly xdpMode: XdpMode | null;
}

/** For a link of this boot: its map is there, under its ID, and its chain, if it has one, keeps its mode. */
export const IN_THIS_BOOT: Around = { mapName: String, xdpMode: null };

/** Returns the target that `link/attach` would be asked for. */
export function targetOf(details: LinkDetails, around: Around): AttachTarget {
  if ("cgroupId" in details) {
    const { cgroup, priority, attachType } = details;
    const direction =
      attachType === "CGROUP_INET_INGRESS" ? "ingress" : attachType === "CGROUP_INET_EGRESS" ? "egress" : null;
    return { kind: "cgroup", cgroup, priority, direction };
  }
  switch (details.kind) {
    case "xdp": {
      const { interface: iface, priority, netns } = details;
      return {
        kind: "xdp",
        iface,
        priority,
        netns,
        proceedOn: namesOf("xdp", details.proceedOn),
        xdpMode: around.xdpMode,
      };
    }
    case "tc": {
      const { interface: iface, priority, netns, direction } = details;
      return { kind: "tc", iface, priority, netns, direction, proceedOn: namesOf("tc", details.proceedOn) };
    }
    case "tcx": {
      const { interface: iface, priority, netns, direction } = details;
      return { kind: "tcx", iface, priority, netns, direction };
    }
    case "tracepoint":
      return { kind: "tracepoint", tracepoint: `${details.group}/${details.name}` };
    case "raw_tp":
      return { kind: "raw_tp", tracepoint: details.name };
    case "kprobe":
    case "kretprobe":
      return { kind: "kprobe", fnName: details.fnName, offset: details.offset, containerPid: null };
    case "uprobe":
    case "uretprobe": {
      const { target, fnName, offset, pid, containerPid } = details;
      return { kind: "uprobe", target, fnName, offset, pid, containerPid };
    }
    case "kprobe.multi":
    case "kretprobe.multi":
      return { kind: "kprobe.multi", fnName: details.pattern };
    case "uprobe.multi":
    case "uretprobe.multi": {
      const { target, pattern, pid, containerPid } = details;
      return { kind: "uprobe.multi", target, fnName: pattern, pid, containerPid };
    }
    case "fentry":
    case "fexit":
    case "lsm":
    case "tp_btf":
    case "fmod_ret":
    case "freplace":
      return { kind: details.kind };
    case "iter":
      return { kind: "iter", map: details.mapId === null ? null : around.mapName(details.mapId) };
    case "perf_event": {
      const { event, cpu, pid, period, frequency } = details;
      return { kind: "perf_event", event, cpu, pid, period, frequency };
    }
    case "sk_lookup":
      return { kind: "sk_lookup", netns: details.netns };
    case "netfilter": {
      const { protocol, hook, priority, defrag, netns } = details;
      return { kind: "netfilter", protocol, hook, priority, defrag, netns };
    }
  }
}

const namesOf = <Kind extends keyof typeof ACTIONS>(kind: Kind, proceedOn: readonly number[]) =>
  proceedOn.map((value) => actionName(ACTIONS[kind], value)) as (keyof (typeof ACTIONS)[Kind] & string)[];
