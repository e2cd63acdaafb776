/** What the lists filter by, and how they are printed. */
import type { Look } from "../render/table.ts";
import { KERNEL_TYPE_WORDS } from "../../domain/kernel-words.ts";
import { PROGRAM_TYPES } from "../../domain/kinds.ts";
import { several, type Session, toggle, vary } from "../command.ts";
import { APPLICATION as LOADED_APPLICATION, METADATA } from "../labels.ts";
import { oneOf } from "../parse/word.ts";

/** The kernel's words, and bpfman's own types. */
export const FILTER_WORDS: readonly string[] = [...new Set([...KERNEL_TYPE_WORDS, ...PROGRAM_TYPES])];
export const parseFilterWord = oneOf("program type", FILTER_WORDS);

export const QUIET = toggle({ long: "quiet", short: "q", doc: ["Optional: Print ids alone, one a line."] });

export const PROGRAM_TYPE = several(
  {
    takes: "one",
    long: "program-type",
    short: "p",
    choices: FILTER_WORDS,
    anyCase: true,
    doc: [
      "Optional: List programs by a specific program type.",
      "Example: --program-type xdp",
      "",
      "[possible values: unspec, socket-filter, probe, tc, sched-act,",
      "                  tracepoint, xdp, perf-event, cgroup-skb,",
      "                  cgroup-sock, lwt-in, lwt-out, lwt-xmit, sock-ops,",
      "                  sk-skb, cgroup-device, sk-msg, raw-tracepoint,",
      "                  cgroup-sock-addr, lwt-seg6-local, lirc-mode2,",
      "                  sk-reuseport, flow-dissector, cgroup-sysctl,",
      "                  raw-tracepoint-writable, cgroup-sockopt, tracing,",
      "                  struct-ops, ext, lsm, sk-lookup, syscall]",
      "",
      "bpfman's own types work as well: tcx, kprobe, kretprobe, uprobe,",
      "uretprobe, fentry, fexit.",
    ],
    noun: {
      takes: "commas",
      doc: [
        "Optional: Only programs of these types, and links of such programs.",
        "The kernel's words (probe, tracing, ext, ...) work as well.",
        "Example: --program-type xdp,kprobe",
      ],
    },
  },
  parseFilterWord,
);

export const APPLICATION = vary(LOADED_APPLICATION, {
  short: undefined,
  doc: ["Optional: List programs loaded under the same application tag.", "Example: --application go-app"],
  noun: { doc: ["Optional: Only what belongs to this application."] },
});

export const METADATA_SELECTOR = vary(METADATA, {
  long: "metadata-selector",
  doc: [
    "Optional: List programs which contain a specific set of metadata labels",
    "that were applied when the program was loaded with `--metadata` parameter.",
    "Format: <KEY>=<VALUE>",
    "Example: --metadata-selector owner=acme",
  ],
  noun: {
    ...METADATA.noun,
    doc: ["Optional: Only what has this metadata; all pairs must match.", "Format: <KEY>=<VALUE>"],
  },
});

interface List<Answer> {
  /** The ids alone. */
  readonly quiet: boolean;
  readonly ids: readonly number[];
  text(answer: Answer, look: Look): string;
}

/** Prints a list as the noun-verb grammar has it: ids when they alone are wanted, nothing when an empty list is text. */
export function printList<Answer>(session: Session, answer: Answer, { quiet, ids, text }: List<Answer>): void {
  if (quiet) session.write(ids.map((id) => `${id}\n`).join(""));
  else session.print(answer, (given, look) => (ids.length === 0 ? "" : text(given, look)));
}
