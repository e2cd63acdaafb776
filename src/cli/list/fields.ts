/** Filters and output of the list commands. */
import type { Look } from "../render/table.ts";
import { KERNEL_TYPE_WORDS } from "../../domain/kernel-words.ts";
import { PROGRAM_TYPES } from "../../domain/kinds.ts";
import { several, type Session, toggle, vary } from "../command.ts";
import { APPLICATION as LOADED_APPLICATION, METADATA } from "../labels.ts";
import { oneOf } from "../parse/word.ts";

/** The kernel's words, and bpfman's own types. */
export const FILTER_WORDS: readonly string[] = [...new Set([...KERNEL_TYPE_WORDS, ...PROGRAM_TYPES])];
export const parseFilterWord = oneOf("program type", FILTER_WORDS);

export const QUIET = toggle({ long: "quiet", short: "q", doc: ["Print only IDs, one per line."] });

export const PROGRAM_TYPE = several(
  {
    takes: "one",
    long: "program-type",
    short: "p",
    choices: FILTER_WORDS,
    anyCase: true,
    doc: [
      "Show only programs of this type.",
      "Example: --program-type xdp",
      "",
      "[possible values: unspec, socket-filter, probe, tc, sched-act,",
      "tracepoint, xdp, perf-event, cgroup-skb, cgroup-sock, lwt-in, lwt-out,",
      "lwt-xmit, sock-ops, sk-skb, cgroup-device, sk-msg, raw-tracepoint,",
      "cgroup-sock-addr, lwt-seg6-local, lirc-mode2, sk-reuseport,",
      "flow-dissector, cgroup-sysctl, raw-tracepoint-writable,",
      "cgroup-sockopt, tracing, struct-ops, ext, lsm, sk-lookup, syscall]",
      "",
      "bpfman's own types are accepted too: tcx, kprobe, kretprobe, uprobe,",
      "uretprobe, fentry, fexit.",
    ],
    noun: {
      takes: "commas",
      doc: [
        "Show only programs of these types, or links of such programs.",
        "The kernel's names (probe, tracing, ext, ...) are accepted too.",
        "Example: --program-type xdp,kprobe",
      ],
    },
  },
  parseFilterWord,
);

export const APPLICATION = vary(LOADED_APPLICATION, {
  short: undefined,
  doc: ["Show only programs of this application.", "Example: --application go-app"],
  noun: { doc: ["Show only what belongs to this application."] },
});

export const METADATA_SELECTOR = vary(METADATA, {
  long: "metadata-selector",
  doc: [
    "Show only what has this metadata; all pairs must match.",
    "It is what --metadata stored when the program was loaded or attached.",
    "Format: <KEY>=<VALUE>",
    "Example: --metadata-selector owner=acme",
  ],
  noun: {
    ...METADATA.noun,
    doc: ["Show only what has this metadata; all pairs must match.", "Format: <KEY>=<VALUE>"],
  },
});

interface List<Answer> {
  /** Print only the IDs. */
  readonly quiet: boolean;
  readonly ids: readonly number[];
  text(answer: Answer, look: Look): string;
}

/** Prints a list for the noun-verb grammar: only IDs if requested; no text at all for an empty list. */
export function printList<Answer>(session: Session, answer: Answer, { quiet, ids, text }: List<Answer>): void {
  if (quiet) session.write(ids.map((id) => `${id}\n`).join(""));
  else session.print(answer, (given, look) => (ids.length === 0 ? "" : text(given, look)));
}
