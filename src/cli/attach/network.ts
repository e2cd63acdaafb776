/**
 * The commands that attach a program to a hook of a network or a cgroup, and the one that changes its place there. The target is
 * given by options in the classic grammar, by words in the noun-verb grammar.
 */
import { TC_ACTIONS, TC_PROCEED_ON_DEFAULT, XDP_ACTIONS, XDP_PROCEED_ON_DEFAULT } from "../../domain/actions.ts";
import { XDP_MODES } from "../../domain/config.ts";
import { CGROUP_PRIORITY_DEFAULT, DIRECTIONS, NETFILTER_HOOKS, NETFILTER_PROTOCOLS } from "../../domain/link.ts";
import { PRIORITY_MAX, PRIORITY_WIDE_MAX } from "../../domain/limits.ts";
import { asking, defineCommand, ifGiven, optional, required, several, toggle, vary, usageError } from "../command.ts";
import { LINK_ID } from "../fields.ts";
import { oneOf, parsePriority, parseSignedPriority } from "../parse/word.ts";
import { renderLink } from "../render/link.ts";
import { attachTo } from "./attach-to.ts";

export const IFACE = required({
  long: "iface",
  short: "i",
  completes: "interface",
  doc: ["Network interface to attach to."],
});

export const DIRECTION = required(
  {
    long: "direction",
    short: "d",
    choices: DIRECTIONS,
    anyCase: true,
    doc: ["Which packets to see: received or sent.", "", "[possible values: ingress, egress]"],
  },
  oneOf("direction", DIRECTIONS, "INVALID_ATTACH"),
);

export const PRIORITY = required(
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

export const NETNS = optional({
  long: "netns",
  short: "n",
  completes: "netns",
  doc: ["File of the network namespace to attach in.", "Example: -n /var/run/netns/bpfman-test"],
});

export const XDP_MODE = optional(
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

export const PROCEED_ON = several(
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

export const CGROUP = required({
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
export const CGROUP_DIRECTION = ifGiven(DIRECTION, {
  doc: [
    "Which packets to see, for a program in section cgroup/skb.",
    "The sections of all others say it.",
    "",
    "[possible values: ingress, egress]",
  ],
});
export const CGROUP_PRIORITY = vary(PRIORITY, {
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
export const PROTOCOL = netfilterWord("protocol", Object.keys(NETFILTER_PROTOCOLS), "Which packets to see.");
export const NETFILTER_HOOK = netfilterWord("hook", Object.keys(NETFILTER_HOOKS), "Where on their way to see them.");
export const NETFILTER_PRIORITY = vary(PRIORITY, {
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
export const DEFRAG = toggle({
  long: "defrag",
  doc: ["Put IP fragments together before the program sees them (Linux 6.6)."],
});

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
