import { OPERATIONS_MAX } from "../../domain/limits.ts";
import { asking, defineCommand, ifGiven, optional, toggle, usageError } from "../command.ts";
import { LINK_ID, PROGRAM_ID } from "../fields.ts";
import { parseDuration, whole } from "../parse/word.ts";
import { renderHistory } from "../render/history.ts";

const DATE = /^([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[T ]([0-9:.]+)(Z|[+-][0-9]{2}:?[0-9]{2})?)?$/;

/** Converts `30m`, `2d`, or a date with or without a time, by default in UTC as in the output, to a timestamp. */
function parseSince(text: string, where: string): string {
  const [, date, time = "00:00", zone = "Z"] = DATE.exec(text) ?? [];
  try {
    if (date !== undefined) return new Date(`${date}T${time}${zone}`).toISOString();
    const inHours = text.replace(/^([0-9]+)d/, (_, days) => `${Number(days) * 24}h`);
    return new Date(Date.now() - parseDuration(inHours, where)).toISOString();
  } catch {
    const hint = "give how long ago, as in 30m, 1h or 2d, or a time in UTC, as in 2026-01-31 or 2026-01-31T12:00";
    throw usageError(`invalid time${where} "${text}"`, hint);
  }
}

const SINCE = optional(
  {
    long: "since",
    metavar: "TIME",
    doc: ["Show only what was done since then: 30m, 1h, 2d, or a time in UTC.", "Example: --since 2026-01-31T12:00"],
  },
  parseSince,
);
const FAILED = toggle({ long: "failed", doc: ["Show only what failed."] });
const LIMIT = optional(
  { long: "limit", short: "n", metavar: "NUMBER", doc: ["Show only the last so many entries."] },
  whole("limit", { min: 1, max: OPERATIONS_MAX }),
);

export const history = defineCommand(() => ({
  description: [
    "Shows what bpfman changed or failed to change: when, for whom, on which programs",
    "and links, with which result; the newest last, times in UTC. It includes what is",
    "gone by now, earlier boots, sessions that ended, and what was cleaned up after",
    "killed commands.",
    "",
    "The user is who logged in or called sudo, if known. For loads, the result has the",
    "cost of verification.",
  ],
  fields: {
    programId: ifGiven(PROGRAM_ID, {
      long: "program",
      doc: ["Show only what was about this program: an ID, or the name of one that is loaded."],
    }),
    linkId: ifGiven(LINK_ID, {
      long: "link",
      doc: ["Show only what was about this link: an ID, or the name of its program."],
    }),
    since: SINCE,
    failed: FAILED,
    limit: LIMIT,
  },
  classic: {
    examples: {
      "Show the last ten changes": "bpfman history -n 10",
      "Show what failed since yesterday, for scripts": "bpfman history --failed --since 24h -o json",
      "Show what happened to a program, even if it is gone": "bpfman history --program 63178",
    },
  },
  prepare: (request) => asking("history/list", request, renderHistory),
}));
