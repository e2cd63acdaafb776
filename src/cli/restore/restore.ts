/** Loading and attaching again what was there before a reboot. */
import { ID_MAX } from "../../domain/limits.ts";
import { BpfmanError } from "../../errors/error.ts";
import { defineCommand, optional, toggle } from "../command.ts";
import { DRY_RUN } from "../fields.ts";
import { parseDuration } from "../parse/word.ts";
import { renderRestore } from "../render/restore.ts";

/** Distinguishes what was found from what went wrong. */
const WAITING = 10;

/** Parses `program:ID` or `link:ID`, as restore prints what waits. */
function parseForgotten(text: string, where: string): { readonly program: number } | { readonly link: number } {
  const [, kind, digits] = /^(program|link):([1-9][0-9]*)$/.exec(text) ?? [];
  const id = Number(digits);
  if (kind === "program" && id <= ID_MAX) return { program: id };
  if (kind === "link" && id <= ID_MAX) return { link: id };
  throw new BpfmanError("USAGE", `invalid value${where} "${text}": must be program:ID or link:ID`, {
    details: { value: text },
    hint: "bpfman restore --dry-run lists what waits, with these words",
  });
}

export const restore = defineCommand(() => ({
  description: [
    "Loads and attaches again what was there before the machine was restarted: the",
    "programs and links of the last boot that had any, except those of sessions.",
    "Links keep their IDs, programs get new ones; `bpfman get program` with the old",
    "ID shows the new one.",
    "",
    "Whatever cannot come back now, because an interface, a file or a process is gone,",
    "is listed with the reason, and waits: the next restore tries again, until it is",
    "dropped with --forget. The rest is restored all the same, and nothing is restored",
    "twice. The exit code is 10 if something waits.",
  ],
  fields: {
    dryRun: DRY_RUN,
    kept: toggle({
      long: "kept",
      doc: [
        "Restore only what was loaded with --keep, and the owners of its maps; or",
        "everything if the configuration file has enabled = true under [restore].",
        "bpfman-restore.service does this when the machine starts.",
      ],
    }),
    waitMs: optional(
      {
        long: "wait",
        metavar: "DURATION",
        doc: [
          "How long to wait for interfaces and network namespaces that are not there yet.",
          "Everything else is restored at once. Units are ms, s, m and h.",
          "Example: --wait 30s",
        ],
      },
      parseDuration,
      0,
    ),
    forget: optional(
      {
        long: "forget",
        metavar: "program:ID|link:ID",
        doc: [
          "Drop a program with its links, or one link, by the ID it had before the reboot,",
          "and restore nothing.",
          "Example: --forget link:7",
        ],
      },
      parseForgotten,
    ),
  },
  classic: {
    examples: {
      "See what would come back, and what would not": "bpfman restore --dry-run",
      "Bring everything back, and wait for interfaces that come late": "bpfman restore --wait 30s",
      "Give up a link that cannot come back": "bpfman restore --forget link:7",
    },
  },
  prepare: (request) => async (session) => {
    const answer = await session.invoke("restore", request);
    session.print(answer, renderRestore);
    const results = [...answer.programs, ...answer.links].map(({ result }) => result);
    if (results.includes("waiting")) session.exitWith(WAITING);
  },
}));
