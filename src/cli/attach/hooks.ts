/**
 * The commands that attach a program to a hook, and the one that changes its place there. The target is given by options
 * in the classic grammar, by words in the noun-verb grammar.
 */
import { TC_ACTIONS, TC_PROCEED_ON_DEFAULT, XDP_ACTIONS, XDP_PROCEED_ON_DEFAULT } from "../../domain/actions.ts";
import { XDP_MODES } from "../../domain/config.ts";
import { CGROUP_PRIORITY_DEFAULT, DIRECTIONS, NETFILTER_HOOKS, NETFILTER_PROTOCOLS } from "../../domain/link.ts";
import type { AttachKind } from "../../domain/kinds.ts";
import { HARDWARE_EVENTS, SOFTWARE_EVENTS } from "../../domain/perf-events.ts";
import { PRIORITY_MAX, PRIORITY_WIDE_MAX } from "../../domain/limits.ts";
import {
  asking,
  defineCommand,
  type Fields,
  ifGiven,
  optional,
  required,
  several,
  toggle,
  type TwinExamples,
  type Values,
  vary,
  usageError,
} from "../command.ts";
import { LINK_ID, MAP, PROGRAM_ID, QUIET } from "../fields.ts";
import { METADATA as PROGRAM_METADATA } from "../labels.ts";
import {
  oneOf,
  parseCount,
  parseCpu,
  parseOffset,
  parsePid,
  parsePriority,
  parseSignedPriority,
  zeroForNone,
} from "../parse/word.ts";
import { renderLink } from "../render/link.ts";

const IFACE = required({
  long: "iface",
  short: "i",
  completes: "interface",
  doc: ["Network interface to attach to."],
});

const DIRECTION = required(
  {
    long: "direction",
    short: "d",
    choices: DIRECTIONS,
    anyCase: true,
    doc: ["Which packets to see: received or sent.", "", "[possible values: ingress, egress]"],
  },
  oneOf("direction", DIRECTIONS, "INVALID_ATTACH"),
);

const PRIORITY = required(
  {
    long: "priority",
    short: "p",
    doc: ["Position in the chain: lower values run first.", "[possible values: 0-1000]"],
    noun: {
      doc: ["Position in the chain; lower values run first.", "[possible values: 0-2147483647]"],
      parse: parsePriority(PRIORITY_WIDE_MAX),
    },
  },
  parsePriority(PRIORITY_MAX),
);

const NETNS = optional({
  long: "netns",
  short: "n",
  completes: "netns",
  doc: ["File of the network namespace to attach in.", "Example: -n /var/run/netns/bpfman-test"],
});

const XDP_MODE = optional(
  {
    long: "xdp-mode",
    choices: XDP_MODES,
    doc: [
      "Where to run: in the driver (drv), in the network stack (skb), or on the card (hw).",
      "All programs on an interface share one mode. By default, it is that of the programs",
      "there, else the configured one, else drv, or skb if the driver does not support XDP.",
      "",
      "[possible values: skb, drv, hw]",
    ],
  },
  oneOf("XDP mode", XDP_MODES, "INVALID_ATTACH", {
    native: "drv",
    driver: "drv",
    xdpdrv: "drv",
    generic: "skb",
    xdpgeneric: "skb",
    offload: "hw",
    xdpoffload: "hw",
  }),
);

const ACTIONS = [...new Set([...Object.keys(XDP_ACTIONS), ...Object.keys(TC_ACTIONS)])];
const parseAction = (words: readonly string[]) => oneOf("proceed-on", words, "INVALID_ATTACH");

const PROCEED_ON = several(
  {
    takes: "list",
    long: "proceed-on",
    choices: ACTIONS,
    doc: [
      "Return values after which the chain continues with the next program.",
      "Separate several values with spaces, or repeat the option.",
      "Example: --proceed-on pass --proceed-on drop",
    ],
  },
  parseAction(ACTIONS),
);

interface ChainRule {
  readonly actions: readonly string[];
  /** For the examples. */
  readonly two: readonly [string, string];
  /** The defaults of the two grammars. */
  readonly classic: readonly string[];
  readonly noun: readonly string[];
}

/** The field for one kind of hook, at attach. */
const proceedOn = ({ actions, two, classic, noun }: ChainRule): typeof PROCEED_ON =>
  vary(PROCEED_ON, {
    choices: actions,
    doc: [
      ...PROCEED_ON.doc.slice(0, 2),
      `Example: --proceed-on ${two.join(" --proceed-on ")}`,
      "",
      `[possible values: ${actions.join(", ")}]`,
      "",
      `[default: ${classic.join(", ")}]`,
    ],
    parse: parseAction(actions),
    noun: {
      takes: "commas",
      anyCase: true,
      doc: [
        ...PROCEED_ON.doc.slice(0, 1),
        "Separate several values with commas, or repeat the option.",
        `Example: --proceed-on ${two.join()}`,
        "",
        `[default: ${noun.join(", ")}]`,
      ],
      gather: (words) => (words.length === 0 ? noun : (words as readonly string[])),
    },
  });

const METADATA = vary(PROGRAM_METADATA, {
  doc: ["Metadata to store with the link. Lists can filter by it.", ...PROGRAM_METADATA.doc.slice(1)],
});

const FN_NAME = required({
  long: "fn-name",
  short: "f",
  completes: "kernel-function",
  doc: [
    "Required: Function to attach the kprobe to, as FUNCTION, MODULE:FUNCTION",
    "(vmlinux stands for the kernel itself) or 0xADDRESS, each with +OFFSET.",
  ],
  noun: {
    doc: ["Required: The kernel function, as FUNCTION, MODULE:FUNCTION (vmlinux: the kernel) or 0xADDRESS; +OFFSET."],
  },
});

/** Bytes. */
const OFFSET = optional(
  {
    long: "offset",
    short: "o",
    doc: ["Offset from the start of the function, in bytes.", "A kretprobe cannot have one."],
    noun: { short: undefined },
  },
  parseOffset,
  0,
);

const CONTAINER_PID = optional(
  {
    long: "container-pid",
    short: "c",
    completes: "pid",
    doc: [
      "PID, as the host sees it, of a process in the container to attach in.",
      "Paths and library names are looked up in its mount namespace.",
    ],
    noun: {
      short: undefined,
      parse: zeroForNone(parsePid),
    },
  },
  parsePid,
);

const UNSUPPORTED_PID = vary(CONTAINER_PID, {
  grammar: "classic",
  doc: ["PID of a process in the container to attach in.", "Not supported yet: kprobes attach to the host's kernel."],
});

const TARGET_FUNCTION = ifGiven(FN_NAME, {
  completes: "target-function",
  doc: ["Function of the target to attach to.", "Without it, the offset counts from the start of the file."],
});
const TARGET_OFFSET = vary(OFFSET, {
  doc: [
    "Offset from the start of the function, or of the file, in bytes.",
    "On a uretprobe, an offset past the entry can crash the target.",
  ],
});
const TARGET = required({
  long: "target",
  short: "t",
  completes: "target",
  doc: ["Absolute path of a binary or library, or a library's name.", "Example: --target libc"],
  noun: { doc: ["Absolute path of a binary or library, or a library's name.", "Example: libc"] },
});
const PID = optional(
  {
    long: "pid",
    short: "p",
    completes: "pid",
    doc: [
      "Run the program in this process only, given by its PID.",
      "By default it runs in every process that maps the target.",
    ],
    noun: {
      short: undefined,
      doc: ["Run the program in this process only; 0 means in all of them."],
      parse: zeroForNone(parsePid),
    },
  },
  parsePid,
);

const TRACEPOINT = required({
  long: "tracepoint",
  short: "t",
  completes: "tracepoint",
  doc: ["Tracepoint to attach to, as GROUP/NAME.", "Example: --tracepoint sched/sched_switch"],
  noun: { doc: ["Tracepoint to attach to, as GROUP/NAME.", "Example: sched/sched_switch"] },
});

const RAW_TRACEPOINT = vary(TRACEPOINT, {
  completes: "raw-tracepoint",
  doc: ["Tracepoint to attach to, by its name without the group.", "Example: --tracepoint sched_switch"],
  noun: { doc: ["Tracepoint to attach to, by its name without the group.", "Example: sched_switch"] },
});

const FN_PATTERN = vary(FN_NAME, {
  doc: ["Functions to attach to, as a pattern: * stands for any characters, ? for one.", "Quote it for the shell."],
  noun: { doc: ["Functions, as a pattern: * stands for any characters, ? for one. Quote it for the shell."] },
});
const TARGET_PATTERN_DOC = [
  "Functions of the target, as a pattern: * stands for any characters, ? for one.",
  "Quote it for the shell.",
];
const TARGET_PATTERN = vary(FN_PATTERN, {
  completes: "target-function",
  doc: TARGET_PATTERN_DOC,
  noun: { doc: TARGET_PATTERN_DOC },
});

const VISITED_MAP = ifGiven(MAP, {
  doc: [
    "The map whose entries the program visits: its ID, PROGRAM_ID/NAME or a name.",
    "Only for iterators over entries.",
  ],
});

const EVENT = required({
  long: "event",
  short: "e",
  completes: "perf-event",
  doc: [
    "Event that is counted, as `perf list` names it.",
    `Software: ${SOFTWARE_EVENTS.join(", ")}`,
    `Hardware: ${HARDWARE_EVENTS.join(", ")}`,
  ],
});
const CPU = optional(
  {
    long: "cpu",
    doc: ["Count on this processor only, of all processes.", "For all processors, attach once for each."],
  },
  parseCpu,
);
const EVENT_PID = vary(PID, {
  doc: ["Count in this process only: its thread with that ID.", "Without --cpu, on all processors."],
});
const PERIOD = optional({ long: "period", doc: ["Run the program after so many events."] }, parseCount("period"));
const FREQUENCY = optional(
  { long: "frequency", doc: ["Run the program so often per second, as long as there are events."] },
  parseCount("frequency"),
);
const CGROUP = required({
  long: "cgroup",
  short: "c",
  completes: "cgroup",
  doc: [
    "Directory of the cgroup (version 2) whose processes to watch.",
    "Example: --cgroup /sys/fs/cgroup/system.slice",
  ],
  noun: {
    doc: ["Directory of the cgroup (version 2) whose processes to watch.", "Example: /sys/fs/cgroup/system.slice"],
  },
});
const CGROUP_DIRECTION = ifGiven(DIRECTION, {
  doc: [
    "Which packets to see, for a program in section cgroup/skb.",
    "The sections of all others say it.",
    "",
    "[possible values: ingress, egress]",
  ],
});
const CGROUP_PRIORITY = vary(PRIORITY, {
  required: false,
  default: String(CGROUP_PRIORITY_DEFAULT),
  gather: ([item = CGROUP_PRIORITY_DEFAULT]) => item as number,
  doc: [
    "Position among the programs on the cgroup: lower values run first.",
    "Before Linux 6.17, programs run in the order in which they are attached.",
    "[possible values: 0-1000]",
  ],
  noun: {
    ...PRIORITY.noun,
    doc: [
      "Position among the programs on the cgroup; lower values run first.",
      "Before Linux 6.17, programs run in the order in which they are attached.",
      "[possible values: 0-2147483647]",
    ],
  },
});

/** A required word of a netfilter hook. */
function netfilterWord(long: string, words: readonly string[], asks: string) {
  const doc = [asks, "", `[possible values: ${words.join(", ")}]`];
  return required({ long, choices: words, anyCase: true, doc }, oneOf(long, words, "INVALID_ATTACH"));
}
const PROTOCOL = netfilterWord("protocol", Object.keys(NETFILTER_PROTOCOLS), "Which packets to see.");
const NETFILTER_HOOK = netfilterWord("hook", Object.keys(NETFILTER_HOOKS), "Where on their way to see them.");
const NETFILTER_PRIORITY = vary(PRIORITY, {
  required: false,
  default: "0",
  gather: ([item = 0]) => item as number,
  doc: [
    "Position on the hook, among iptables and nftables: lower values run first.",
    "The kernel gives a priority to one program.",
    "Example: --priority -128",
    "",
    "[possible values: -2147483647 to 2147483646]",
  ],
  parse: parseSignedPriority,
  noun: {},
});
const DEFRAG = toggle({
  long: "defrag",
  doc: ["Put IP fragments together before the program sees them (Linux 6.6)."],
});

const WITHOUT_SHORT = { short: undefined };

/**
 * Where to attach, for a command that learns the kind from the object: every field of any hook, under the names of the request.
 * None has a default or a letter that means something else for another kind.
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

interface Hook<F extends Fields> {
  /** Where to attach, under the names of the request, in the order of help. */
  readonly target: F;
  /** Fields that are words in the noun-verb grammar, after the program's ID. */
  readonly words?: readonly (keyof F & string)[];
  /** What follows the kind of hook, and in the noun-verb grammar the program's ID. */
  readonly examples: TwinExamples;
}

/** Defines the command that attaches a program to a kind of hook; what only that one needs is made when it is asked for. */
function attachTo<F extends Fields>(kind: AttachKind, hook: () => Hook<F>) {
  return defineCommand(() => {
    const { target, words = [], examples } = hook();
    const common = { programId: PROGRAM_ID, metadata: METADATA, quiet: QUIET };
    const fields: Fields & typeof common = { programId: PROGRAM_ID, ...target, metadata: METADATA, quiet: QUIET };
    const line = (start: string, end: string | null) => (end === null ? null : `${start} ${end}`.trimEnd());
    const lines = Object.entries(examples).map(([does, [classic, noun]]) => [
      does,
      [line(`bpfman attach 63178 ${kind}`, classic), line(`bpfman link attach ${kind} 63178`, noun)],
    ]);
    return {
      fields,
      examples: Object.fromEntries(lines),
      classic: { above: ["programId"] },
      noun: { words: ["programId", ...words] },
      prepare: ({ programId, metadata, quiet, ...place }) =>
        asking(
          "link/attach",
          { programId, attach: { kind, ...place }, metadata },
          renderLink,
          quiet ? ({ record }) => [record.id] : null,
        ),
    };
  });
}

/** The function, LSM hook or tracepoint was chosen at load time, so there is no target to specify. */
const tracing = (kind: "fentry" | "fexit" | "lsm" | "tp_btf" | "fmod_ret" | "freplace") =>
  attachTo(kind, () => ({ target: {}, examples: { "Attach it to what was named when it was loaded": ["", ""] } }));

export const HOOKS = {
  xdp: attachTo("xdp", () => ({
    target: {
      iface: IFACE,
      priority: PRIORITY,
      proceedOn: proceedOn({
        actions: Object.keys(XDP_ACTIONS),
        two: ["pass", "drop"],
        classic: XDP_PROCEED_ON_DEFAULT,
        noun: XDP_PROCEED_ON_DEFAULT,
      }),
      xdpMode: XDP_MODE,
      netns: NETNS,
    },
    words: ["iface"],
    examples: {
      "Run it on every packet that eth0 receives": ["--iface eth0 --priority 50", "eth0 -p 50"],
      "Continue with the next program even if this one drops the packet": [
        "-i eth0 -p 50 --proceed-on pass drop",
        "eth0 -p 50 --proceed-on pass,drop",
      ],
    },
  })),
  tc: attachTo("tc", () => ({
    target: {
      direction: DIRECTION,
      iface: IFACE,
      priority: PRIORITY,
      proceedOn: proceedOn({
        actions: Object.keys(TC_ACTIONS),
        two: ["ok", "pipe"],
        classic: TC_PROCEED_ON_DEFAULT,
        // Unlike in the classic grammar, a TC program that returns "ok" ends the chain.
        noun: ["pipe", "dispatcher_return"],
      }),
      netns: NETNS,
    },
    words: ["iface", "direction"],
    examples: {
      "Run it on every packet that eth0 receives": [
        "--direction ingress --iface eth0 --priority 50",
        "eth0 ingress -p 50",
      ],
    },
  })),
  tcx: attachTo("tcx", () => ({
    target: { direction: DIRECTION, iface: IFACE, priority: PRIORITY, netns: NETNS },
    words: ["iface", "direction"],
    examples: {
      "Run it on every packet that eth0 receives": ["--direction ingress --iface eth0 --priority 50", null],
      "Attach it in another network namespace": ["-d egress -i veth0 -p 50 -n /var/run/netns/bpfman-test", null],
      "Run it on every packet that eth0 sends": [null, "eth0 egress -p 50"],
    },
  })),
  tracepoint: attachTo("tracepoint", () => ({
    target: { tracepoint: TRACEPOINT },
    words: ["tracepoint"],
    examples: {
      "Run it whenever a process opens a file": ["--tracepoint syscalls/sys_enter_openat", "syscalls/sys_enter_openat"],
    },
  })),
  raw_tp: attachTo("raw_tp", () => ({
    target: { tracepoint: RAW_TRACEPOINT },
    words: ["tracepoint"],
    examples: {
      "Run it whenever the scheduler switches to another task": ["--tracepoint sched_switch", "sched_switch"],
    },
  })),
  kprobe: attachTo("kprobe", () => ({
    target: { fnName: FN_NAME, offset: OFFSET, containerPid: UNSUPPORTED_PID },
    words: ["fnName"],
    examples: {
      "Run it when the kernel enters the function (a kretprobe: when it returns)": [
        "--fn-name try_to_wake_up",
        "try_to_wake_up",
      ],
    },
  })),
  uprobe: attachTo("uprobe", () => ({
    target: { fnName: TARGET_FUNCTION, offset: TARGET_OFFSET, target: TARGET, pid: PID, containerPid: CONTAINER_PID },
    words: ["target"],
    examples: {
      "Run it when a process calls malloc (a uretprobe: when malloc returns)": [
        "--target libc --fn-name malloc",
        "libc -f malloc",
      ],
      "Run it in one process only": ["-t /usr/sbin/nginx -f main --pid 4711", "/usr/sbin/nginx -f main --pid 4711"],
    },
  })),
  fentry: tracing("fentry"),
  fexit: tracing("fexit"),
  lsm: tracing("lsm"),
  tp_btf: tracing("tp_btf"),
  fmod_ret: tracing("fmod_ret"),
  freplace: tracing("freplace"),
  "kprobe.multi": attachTo("kprobe.multi", () => ({
    target: { fnName: FN_PATTERN },
    words: ["fnName"],
    examples: {
      "Run it when any of these functions is entered (kretprobe.multi: left)": ["--fn-name 'tcp_v4_*'", "'tcp_v4_*'"],
    },
  })),
  "uprobe.multi": attachTo("uprobe.multi", () => ({
    target: { fnName: TARGET_PATTERN, target: TARGET, pid: PID, containerPid: CONTAINER_PID },
    words: ["target"],
    examples: {
      "Run it when a process calls any of these (uretprobe.multi: when it returns)": [
        "--target libc --fn-name 'pthread_mutex_*'",
        "libc -f 'pthread_mutex_*'",
      ],
    },
  })),
  iter: attachTo("iter", () => ({
    target: { map: VISITED_MAP },
    examples: {
      "Attach it, to read it with `bpfman iter LINK_ID`": ["", ""],
      "Let it visit the entries of a map": ["--map 63178/flows", "--map 63178/flows"],
    },
  })),
  perf_event: attachTo("perf_event", () => ({
    target: { event: EVENT, cpu: CPU, pid: EVENT_PID, period: PERIOD, frequency: FREQUENCY },
    words: ["event"],
    examples: {
      "Run it 99 times per second on the first processor": [
        "--event cpu-clock --cpu 0 --frequency 99",
        "cpu-clock --cpu 0 --frequency 99",
      ],
      "Run it on each page fault of a process": [
        "--event page-faults --pid 4711 --period 1",
        "page-faults --pid 4711 --period 1",
      ],
    },
  })),
  cgroup: attachTo("cgroup", () => ({
    target: { cgroup: CGROUP, priority: CGROUP_PRIORITY, direction: CGROUP_DIRECTION },
    words: ["cgroup"],
    examples: {
      "Run it for the processes of all services, at the point that its section says": [
        "--cgroup /sys/fs/cgroup/system.slice",
        "/sys/fs/cgroup/system.slice",
      ],
      "Run it before others on the same cgroup": [
        "-c /sys/fs/cgroup/system.slice -p 10",
        "/sys/fs/cgroup/system.slice -p 10",
      ],
    },
  })),
  sk_lookup: attachTo("sk_lookup", () => ({
    target: { netns: NETNS },
    examples: {
      "Choose the socket for each new connection to this network namespace": ["", ""],
      "Do so in another network namespace": ["--netns /run/netns/blue", "--netns /run/netns/blue"],
    },
  })),
  netfilter: attachTo("netfilter", () => ({
    target: {
      protocol: PROTOCOL,
      hook: NETFILTER_HOOK,
      priority: NETFILTER_PRIORITY,
      defrag: DEFRAG,
      netns: NETNS,
    },
    words: ["protocol", "hook"],
    examples: {
      "Run it on every IPv4 packet for this machine, before the packet filter": [
        "--protocol ipv4 --hook input --priority -10",
        "ipv4 input -p -10",
      ],
      "Run it on whole packets, before they are routed": [
        "--protocol ipv6 --hook prerouting --priority -128 --defrag",
        "ipv6 prerouting -p -128 --defrag",
      ],
    },
  })),
};

export const updateLink = defineCommand(() => ({
  description: [
    "Changes the position of a live XDP or TC link in its chain, or the return values",
    "after which the chain continues. The chain is swapped atomically, so the program",
    "stays attached throughout.",
  ],
  fields: {
    linkId: vary(LINK_ID, { doc: ["Link to change: its ID, or the name of its program."] }),
    priority: ifGiven(PRIORITY, {
      noun: {
        ...PRIORITY.noun,
        doc: ["New position in the chain; lower values run first.", "[possible values: 0-2147483647]"],
      },
    }),
    proceedOn: PROCEED_ON,
  },
  noun: {
    words: ["linkId"],
    examples: { "Make the program of link 3 run first": "bpfman link update 3 --priority 0" },
  },
  prepare({ linkId, priority, proceedOn }) {
    if (priority === null && proceedOn.length === 0) {
      throw usageError("nothing to update: give --priority, --proceed-on, or both");
    }
    const request = { linkId, priority, proceedOn: proceedOn.length === 0 ? null : proceedOn };
    return asking("link/update", request, renderLink);
  },
}));
