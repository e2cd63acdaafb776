/** What the attach commands have in common. In the classic grammar places are options, in the noun-verb grammar words. */
import { TC_ACTIONS, XDP_ACTIONS } from "../../domain/actions.ts";
import { DIRECTIONS } from "../../domain/link.ts";
import { PRIORITY_MAX, PRIORITY_WIDE_MAX } from "../../domain/limits.ts";
import { type Action, asking, optional, required, several, type Values, vary } from "../command.ts";
import { PROGRAM_ID } from "../fields.ts";
import { METADATA as PROGRAM_METADATA } from "../labels.ts";
import { parseOffset, parsePid, parsePriority, zeroForNone } from "../parse/number.ts";
import { oneOf } from "../parse/word.ts";
import { renderLink } from "../render/link.ts";

export const IFACE = required({
  long: "iface",
  short: "i",
  completes: "interface",
  doc: ["Required: Interface to load program on."],
  noun: { doc: ["Required: Interface to attach to."] },
});

export const DIRECTION = required(
  {
    long: "direction",
    short: "d",
    choices: DIRECTIONS,
    anyCase: true,
    doc: ["Required: Direction to apply program.", "", "[possible values: ingress, egress]"],
    noun: { doc: ["Required: Direction of the packets.", "", "[possible values: ingress, egress]"] },
  },
  oneOf("direction", DIRECTIONS, "INVALID_ATTACH"),
);

export const PRIORITY = required(
  {
    long: "priority",
    short: "p",
    doc: ["Required: Priority to run program in chain. Lower value runs first.", "[possible values: 1-1000]"],
    noun: {
      doc: ["Required: Place in the chain. Lower value runs first.", "[possible values: 0-2147483647]"],
      parse: parsePriority(PRIORITY_WIDE_MAX),
    },
  },
  parsePriority(PRIORITY_MAX),
);

export const NETNS = optional({
  long: "netns",
  short: "n",
  completes: "netns",
  doc: ["Optional: The file path of the target network namespace.", "Example: -n /var/run/netns/bpfman-test"],
});

const ACTIONS = [...new Set([...Object.keys(XDP_ACTIONS), ...Object.keys(TC_ACTIONS)])];
const parseAction = (words: readonly string[]) => oneOf("proceed-on", words, "INVALID_ATTACH");

export const PROCEED_ON = several(
  {
    takes: "list",
    long: "proceed-on",
    choices: ACTIONS,
    doc: [
      "Optional: Proceed to call other programs in chain on these exit codes.",
      "Multiple values supported by repeating the parameter.",
      "Example: --proceed-on pass --proceed-on drop",
    ],
  },
  parseAction(ACTIONS),
);

interface ChainRule {
  readonly actions: readonly string[];
  readonly doc: readonly string[];
  /** In the noun-verb grammar: an example, and what stands for nothing. */
  readonly example: string;
  readonly usual: readonly string[];
}

/** The same for one hook, at attach. */
export const proceedOn = ({ actions, doc, example, usual }: ChainRule): typeof PROCEED_ON =>
  vary(PROCEED_ON, {
    choices: actions,
    doc,
    parse: parseAction(actions),
    noun: {
      takes: "commas",
      anyCase: true,
      doc: [
        "Optional: Go on to the next program of the chain after these return values.",
        `Example: --proceed-on ${example}`,
        "",
        `[default: ${usual.join(", ")}]`,
      ],
      gather: (words) => (words.length === 0 ? usual : (words as readonly string[])),
    },
  });

export const METADATA = vary(PROGRAM_METADATA, {
  doc: [
    "Optional: Specify Key/Value metadata to be attached to a link when it",
    "is loaded by bpfman.",
    "Format: <KEY>=<VALUE>",
    "",
    "This can later be used to list a certain subset of links which contain",
    "the specified metadata.",
    "Example: --metadata owner=acme",
  ],
});

export const FN_NAME = required({
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
export const OFFSET = optional(
  {
    long: "offset",
    short: "o",
    doc: ["Optional: Offset added to the address of the function for kprobe.", "Not allowed for kretprobes."],
    noun: { short: undefined, doc: ["Optional: Bytes from the start of the function."] },
  },
  parseOffset,
  0,
);

export const CONTAINER_PID = optional(
  {
    long: "container-pid",
    short: "c",
    completes: "pid",
    doc: [
      "Optional: Host PID of container to attach the uprobe in.",
      "Paths and library names are looked up in that process's mount namespace.",
    ],
    noun: {
      short: undefined,
      doc: ["Optional: Look the target up as this process sees it, by its pid on the host."],
      parse: zeroForNone(parsePid),
    },
  },
  parsePid,
);

/** What every attach command has. */
export const ATTACHING = { programId: PROGRAM_ID, metadata: METADATA };

/** Attaches the program to `attach`, a target as the request schema has it. */
export const attaching = (
  { programId, metadata }: Values<typeof ATTACHING>,
  attach: Readonly<Record<string, unknown>>,
): Action => asking("link/attach", { programId, attach, metadata }, renderLink);
