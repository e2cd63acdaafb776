/** Commands that measure what programs cost. */
import { STATS_INTERVAL_MS_MAX } from "../../domain/limits.ts";
import { asking, defineCommand, each, optional, toggle, usageError } from "../command.ts";
import { PROGRAM_ID } from "../fields.ts";
import { parseDuration } from "../parse/word.ts";
import { renderStats } from "../render/stats.ts";

function parseInterval(text: string, where: string): number {
  const ms = parseDuration(text, where);
  if (ms >= 1 && ms <= STATS_INTERVAL_MS_MAX) return ms;
  throw usageError(`invalid interval${where} "${text}": must be from 1ms to 1h`);
}

const FIELDS = {
  programIds: each(PROGRAM_ID, {
    required: false,
    doc: ["Only these programs; all in the kernel by default."],
  }),
  interval: optional(
    {
      long: "interval",
      metavar: "TIME",
      default: "1s",
      doc: ["How long to count, as in 500ms or 10s."],
    },
    parseInterval,
  ),
  members: toggle({
    long: "members",
    doc: [
      "Also count each member of bpfman's XDP and TC chains, with its verdicts.",
      "The kernel bills members to the dispatcher, so two small programs are put on",
      "each for that time, which cost some nanoseconds a packet.",
    ],
  }),
};

interface Given {
  readonly programIds: readonly (number | string)[];
  readonly interval: number | null;
  readonly members: boolean;
}

const requestOf = ({ programIds, interval, members }: Given): Readonly<Record<string, unknown>> => ({
  programIds,
  members,
  ...(interval === null ? {} : { intervalMs: interval }),
});

export const stats = defineCommand(() => ({
  description: [
    "Count for a while how often programs run, how long that takes, and how much of",
    "a CPU they use.",
    "",
    "All programs in the kernel are shown, with their owner: an application of",
    "bpfman's, bpfman itself, or a process that holds the program. The kernel counts",
    "runs only while somebody asks it to, since counting takes time as well; `stats`",
    'asks for as long as it runs. "-" means that the kernel did not count.',
  ],
  fields: FIELDS,
  classic: {
    words: ["programIds"],
    examples: {
      "Show what every program costs now": "bpfman stats",
      "Count two programs for ten seconds, for scripts": "bpfman stats 63178 63179 --interval 10s -o json",
      "Show each member of the chains, with its verdicts": "bpfman stats --members",
    },
  },
  prepare: (given) => asking("program/stats", requestOf(given), renderStats),
}));

export const top = defineCommand(() => ({
  description: [
    "Show on a screen what programs cost, measured again and again.",
    "",
    "Keys: c, r, n, i, f sort by CPU, runs a second, time of a run, ID, function;",
    "the arrow keys or j and k scroll; q quits.",
  ],
  fields: FIELDS,
  classic: {
    words: ["programIds"],
    examples: {
      "Watch all programs": "bpfman top",
      "Watch chains and their members, every five seconds": "bpfman top --members --interval 5s",
    },
  },
  prepare: (given) => async (session) => {
    if (session.output === "json") {
      throw usageError("top has no JSON: it is a screen", 'type "bpfman stats -o json" for one measurement');
    }
    await (await import("./top.ts")).showTop(session, requestOf(given));
  },
}));
