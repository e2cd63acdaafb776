/**
 * Fields shared by the attach commands. The target is given by options in the classic grammar, by words in the
 * noun-verb grammar.
 */
import { TC_ACTIONS, XDP_ACTIONS } from "../../domain/actions.ts";
import { DIRECTIONS } from "../../domain/link.ts";
import type { AttachKind } from "../../domain/kinds.ts";
import { PRIORITY_MAX, PRIORITY_WIDE_MAX } from "../../domain/limits.ts";
import { asking, defineCommand, type Examples, type Fields, optional, required, several, vary } from "../command.ts";
import { PROGRAM_ID } from "../fields.ts";
import { METADATA as PROGRAM_METADATA } from "../labels.ts";
import { parseOffset, parsePid, parsePriority, zeroForNone } from "../parse/number.ts";
import { oneOf } from "../parse/word.ts";
import { renderLink } from "../render/link.ts";

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
export const proceedOn = ({ actions, two, classic, noun }: ChainRule): typeof PROCEED_ON =>
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

export const METADATA = vary(PROGRAM_METADATA, {
  doc: [
    "Metadata to store with the link. Lists can filter by it.",
    "Separate several pairs with commas, or repeat the option.",
    "Format: <KEY>=<VALUE>",
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
    doc: ["Offset from the start of the function, in bytes.", "A kretprobe cannot have one."],
    noun: { short: undefined },
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

/** The fields of every attach command. */
const ATTACHING = { programId: PROGRAM_ID, metadata: METADATA };

interface Hook<F extends Fields> {
  /** Where to attach, under the names of the request, in the order of help. */
  readonly target: F;
  /** Fields that are words in the noun-verb grammar, after the program's ID. */
  readonly words?: readonly (keyof F & string)[];
  /** Fields that only the classic grammar has. */
  readonly classicOnly?: readonly (keyof F & string)[];
  readonly classic: Examples;
  readonly noun: Examples;
}

/** Defines the command that attaches a program to a kind of hook. */
export function attachTo<F extends Fields>(kind: AttachKind, hook: Hook<F>) {
  const { target, words = [], classicOnly = [], classic, noun: nounExamples } = hook;
  const fields: Fields & typeof ATTACHING = { programId: PROGRAM_ID, ...target, metadata: METADATA };
  const inNoun = ["programId", ...words];
  return defineCommand({
    fields,
    classic: { above: ["programId"], examples: classic },
    noun: {
      words: inNoun,
      options: Object.keys(fields).filter((name) => ![...inNoun, ...classicOnly].includes(name)),
      examples: nounExamples,
    },
    prepare({ programId, metadata, ...place }, noun) {
      const given = Object.entries(place).filter(([name]) => !noun || !classicOnly.includes(name));
      const attach = { kind, ...Object.fromEntries(given) };
      return asking("link/attach", { programId, attach, metadata }, renderLink);
    },
  });
}
