/** Commands that list programs and links. */
import {
  FILTER_WORDS,
  KERNEL_TYPE_WORDS,
  LINKED_KERNEL_WORDS,
  LINKED_WORDS,
  OWN_LINKED_WORDS,
  OWN_WORDS,
} from "../../domain/kernel-words.ts";
import { ATTACHABLE_TYPES } from "../../domain/kinds.ts";
import {
  defineCommand,
  ifGiven,
  linesOf,
  optional,
  several,
  type Session,
  toggle,
  vary,
  usageError,
} from "../command.ts";
import { ALL, PROGRAM_ID, QUIET } from "../fields.ts";
import { APPLICATION as LOADED_APPLICATION, METADATA } from "../labels.ts";
import { oneOf } from "../parse/word.ts";
import { renderLinkList, renderProgramList } from "../render/lists.ts";
import type { Look } from "../render/table.ts";

const ownWords = (words: readonly string[]): string => `bpfman's own types are accepted too: ${words.join(", ")}.`;
const parseFilterWord = oneOf("program type", FILTER_WORDS);

const PROGRAM_TYPE = several(
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
      `[possible values: ${KERNEL_TYPE_WORDS.join(", ")}]`,
      "",
      ownWords(OWN_WORDS),
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

const APPLICATION = vary(LOADED_APPLICATION, {
  short: undefined,
  doc: ["Show only programs of this application.", "Example: --application go-app"],
  noun: { doc: ["Show only what belongs to this application."] },
});

const METADATA_SELECTOR = vary(METADATA, {
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

interface Listed<Answer> {
  readonly quiet: boolean;
  readonly noun: boolean;
  readonly ids: readonly number[];
  text(answer: Answer, look: Look): string;
}

/** Prints a list: only IDs if requested. In the noun-verb grammar, an empty list has no text at all. */
function printList<Answer>(session: Session, answer: Answer, { quiet, noun, ids, text }: Listed<Answer>): void {
  if (quiet) session.print(ids, linesOf);
  else session.print(answer, (given, look) => (noun && ids.length === 0 ? "" : text(given, look)));
}

export const listPrograms = defineCommand(() => ({
  fields: {
    quiet: QUIET,
    attached: toggle({ long: "attached", doc: ["Show only programs that have links."] }),
    unattached: toggle({ long: "unattached", doc: ["Show only programs without links."] }),
    type: several(
      {
        takes: "commas",
        long: "type",
        choices: FILTER_WORDS,
        anyCase: true,
        doc: ["Another name for --program-type.", "Example: --type xdp,kprobe"],
      },
      parseFilterWord,
    ),
    programType: PROGRAM_TYPE,
    application: APPLICATION,
    metadataSelector: METADATA_SELECTOR,
    selector: optional({
      long: "selector",
      short: "l",
      doc: [
        "Show only programs whose metadata matches all of these terms.",
        "Terms are separated by commas: key=value, key!=value, key in (a,b),",
        "key notin (a,b), key, !key, key>1, key<1.",
        "Example: --selector 'app=web,tier!=1'",
      ],
    }),
    all: ALL,
  },
  classic: {
    options: ["programType", "application", "metadataSelector", "all", "quiet"],
    examples: {
      "List the programs of one application": "bpfman list programs --application go-app",
      "List only their IDs, for scripts": "bpfman list programs -q --application go-app",
      "List every program in the kernel, whoever loaded it": "bpfman list programs --all",
    },
  },
  noun: {
    examples: {
      "List attached programs of two types": "bpfman program list --type xdp,tc --attached",
      "List the IDs of an application's programs, for scripts": "bpfman program list -q --application go-app",
      "Filter by metadata": "bpfman program list -l app=web,tier!=1",
    },
  },
  prepare({ quiet, attached, unattached, type, programType, selector, ...filters }, noun) {
    if (attached && unattached) {
      throw usageError("--attached and --unattached are mutually exclusive");
    }
    const request = noun
      ? {
          ...filters,
          programType: [...type, ...programType],
          exactTypes: true,
          selector,
          attached: attached || unattached ? attached : null,
        }
      : { ...filters, programType: programType[0] ?? null };
    return async (session) => {
      const view = session.output === "json" && !quiet ? "full" : "summary";
      const answer = await session.invoke("program/list", { ...request, view });
      const ids = answer.programs.map((program) => program.program_id);
      printList(session, answer, { quiet, noun, ids, text: renderProgramList });
    };
  },
}));

export const listLinks = defineCommand(() => ({
  fields: {
    quiet: QUIET,
    programId: ifGiven(PROGRAM_ID, { doc: ["Show only links of this program."] }),
    kinds: several(
      {
        takes: "commas",
        long: "kind",
        choices: ATTACHABLE_TYPES,
        anyCase: true,
        doc: ["Show only links of these kinds.", "Example: --kind xdp,kretprobe"],
      },
      oneOf("link kind", ATTACHABLE_TYPES),
    ),
    application: vary(APPLICATION, {
      doc: ["Show only links of this application.", "Example: --application go-app"],
    }),
    programType: vary(PROGRAM_TYPE, {
      choices: LINKED_WORDS,
      doc: [
        "Show only links of programs of this type.",
        "Example: --program-type xdp",
        "",
        `[possible values: ${LINKED_KERNEL_WORDS.join(", ")}]`,
        "",
        ownWords(OWN_LINKED_WORDS),
      ],
    }),
    metadataSelector: METADATA_SELECTOR,
  },
  classic: {
    options: ["application", "programType", "metadataSelector", "quiet"],
    examples: {
      "List the links of one application": "bpfman list links --application go-app",
      "List the links of XDP programs, for scripts": "bpfman list links --program-type xdp -o json",
    },
  },
  noun: {
    options: ["quiet", "programId", "kinds", "programType", "application", "metadataSelector"],
    examples: {
      "List the links of one program": "bpfman link list --program-id 63178",
      "List the IDs of XDP links, for scripts": "bpfman link list -q --kind xdp",
    },
  },
  prepare({ quiet, programId, kinds, programType, ...filters }, noun) {
    const request = noun
      ? { ...filters, programId, programType, exactTypes: true, ...(kinds.length === 0 ? {} : { kinds }) }
      : { ...filters, programType: programType[0] ?? null };
    return async (session) => {
      const answer = await session.invoke("link/list", request);
      printList(session, answer, { quiet, noun, ids: answer.links.map((link) => link.id), text: renderLinkList });
    };
  },
}));
