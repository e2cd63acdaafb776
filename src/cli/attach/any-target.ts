/** Where to attach, for a command that learns the kind of hook from the object. */
import { ifGiven, type Values, vary } from "../command.ts";
import { parseSignedPriority } from "../parse/word.ts";
import {
  CGROUP,
  DEFRAG,
  DIRECTION,
  IFACE,
  NETFILTER_HOOK,
  NETNS,
  PRIORITY,
  PROCEED_ON,
  PROTOCOL,
  XDP_MODE,
} from "./network.ts";
import {
  CONTAINER_PID,
  CPU,
  EVENT,
  FN_NAME,
  FREQUENCY,
  OFFSET,
  PERIOD,
  PID,
  TARGET,
  TRACEPOINT,
  VISITED_MAP,
} from "./tracing.ts";

const WITHOUT_SHORT = { short: undefined };

/**
 * Every field of any hook, under the names of the request. None has a default or a letter that means something else for another kind.
 */
export const ANY_TARGET = {
  iface: ifGiven(IFACE, { doc: ["XDP, TC, TCX: Network interface to attach to."] }),
  direction: ifGiven(DIRECTION, {
    doc: [
      "TC, TCX, cgroup: Which packets to see: received or sent.",
      "Programs for cgroups need it in section cgroup/skb only.",
      "",
      "[possible values: ingress, egress]",
    ],
  }),
  priority: ifGiven(PRIORITY, {
    doc: [
      "XDP, TC, TCX, cgroup, netfilter: Position on the hook: lower values run first.",
      "Only netfilter has values below 0.",
      "[possible values: -2147483647 to 2147483646]",
    ],
    parse: parseSignedPriority,
  }),
  proceedOn: vary(PROCEED_ON, {
    doc: ["XDP, TC: Return values after which the chain continues with the next program.", ...PROCEED_ON.doc.slice(1)],
  }),
  xdpMode: vary(XDP_MODE, {
    doc: ["XDP: Where to run: drv, skb or hw.", "See `bpfman help attach xdp`.", "", "[possible values: skb, drv, hw]"],
  }),
  tracepoint: ifGiven(TRACEPOINT, {
    ...WITHOUT_SHORT,
    doc: ["tracepoint, raw_tp: Tracepoint to attach to, as GROUP/NAME; for raw_tp NAME alone."],
  }),
  fnName: ifGiven(FN_NAME, {
    doc: ["kprobe, uprobe, kprobe.multi, uprobe.multi: Function to attach to, or a pattern."],
  }),
  offset: ifGiven(OFFSET, {
    ...WITHOUT_SHORT,
    doc: ["kprobe, uprobe: Offset from the start of the function, in bytes."],
  }),
  target: ifGiven(TARGET, {
    ...WITHOUT_SHORT,
    doc: ["uprobe, uprobe.multi: Absolute path of a binary or library, or a library's name."],
  }),
  pid: vary(PID, { ...WITHOUT_SHORT, doc: ["uprobe, uprobe.multi, perf_event: Run it in this process only."] }),
  containerPid: vary(CONTAINER_PID, {
    ...WITHOUT_SHORT,
    doc: ["uprobe, uprobe.multi: PID of a process in the container to attach in."],
  }),
  visitedMap: vary(VISITED_MAP, {
    long: "visited-map",
    doc: ["iter: The map whose entries the program visits: its ID, PROGRAM_ID/NAME or a name."],
  }),
  event: ifGiven(EVENT, { ...WITHOUT_SHORT, doc: ["perf_event: Event that is counted, as `perf list` names it."] }),
  cpu: vary(CPU, { doc: ["perf_event: Count on this processor only."] }),
  period: vary(PERIOD, { doc: ["perf_event: Run the program after so many events."] }),
  frequency: vary(FREQUENCY, { doc: ["perf_event: Run the program so often per second."] }),
  cgroup: ifGiven(CGROUP, {
    ...WITHOUT_SHORT,
    doc: ["cgroup: Directory of the cgroup (version 2) whose processes to watch."],
  }),
  protocol: ifGiven(PROTOCOL, { doc: ["netfilter: Which packets to see.", ...PROTOCOL.doc.slice(1)] }),
  hook: ifGiven(NETFILTER_HOOK, {
    doc: ["netfilter: Where on their way to see them.", ...NETFILTER_HOOK.doc.slice(1)],
  }),
  defrag: vary(DEFRAG, { doc: ["netfilter: Put IP fragments together before the program sees them (Linux 6.6)."] }),
  netns: vary(NETNS, {
    doc: ["XDP, TC, TCX, sk_lookup, netfilter: File of the network namespace to attach in."],
  }),
};

/** Returns the fields of a target that were given, as a request has them. */
export function targetOf(values: Values<typeof ANY_TARGET>): Readonly<Record<string, unknown>> {
  const given = (Object.keys(ANY_TARGET) as (keyof typeof ANY_TARGET)[]).filter((name) => {
    const value = values[name];
    return value !== null && value !== false && !(Array.isArray(value) && value.length === 0);
  });
  return Object.fromEntries(given.map((name) => [name === "visitedMap" ? "map" : name, values[name]]));
}
