import type { HistoryAnswer, HistoryEntryAnswer } from "../../domain/answer.ts";
import { type Look, renderTable } from "./table.ts";

/** How many IDs a cell shows. */
const IDS_SHOWN_MAX = 3;

export function renderHistory({ operations }: HistoryAnswer, look: Look): string {
  const rows = operations.map((entry) => [
    entry.at.replace(/\.[0-9]+Z$/, "Z"),
    by(entry),
    entry.operation.replace(/^(program|link|dispatcher)\//, ""),
    subject(entry),
    milliseconds(entry.duration_us),
    outcome(entry),
  ]);
  const heading = ["Time", "User", "Operation", "Subject", "Took", "Result"];
  return renderTable({ heading, rows, uncut: 1 }, look);
}

const milliseconds = (us: number): string => `${(us / 1000).toFixed(1)} ms`;

/** Renders `1000 (sudo)`. */
const by = ({ user, parent }: HistoryEntryAnswer): string =>
  `${user.login_uid ?? user.sudo_uid ?? user.uid}${parent.command === null ? "" : ` (${parent.command})`}`;

/** Renders `program 5, link 3, tcx eth0 ingress`. */
function subject({ programs, links, place, source }: HistoryEntryAnswer): string {
  const parts = [ids("program", programs), ids("link", links), place, source];
  return parts.filter((part) => part !== null).join(", ");
}

function ids(what: string, numbers: readonly number[]): string | null {
  const more = numbers.length - IDS_SHOWN_MAX;
  const shown = `${numbers.slice(0, IDS_SHOWN_MAX).join(" ")}${more > 0 ? ` and ${more} more` : ""}`;
  return numbers.length === 0 ? null : `${what}${numbers.length === 1 ? "" : "s"} ${shown}`;
}

/** Renders `ok`, `ok, 44 instructions verified in 12.8 ms`, `LINK_NOT_FOUND: link 1 does not exist`. */
function outcome({ result, message, verification }: HistoryEntryAnswer): string {
  if (message !== null) return `${result}: ${message}`;
  if (result !== "ok" || verification === null) return result;
  const { instructions, load_us: time } = verification;
  return `ok, ${instructions} instructions verified${time === null ? "" : ` in ${milliseconds(time)}`}`;
}
