import type { ChainStatsAnswer, ProgramStatsAnswer, RunsAnswer, StatsAnswer } from "../../domain/stats-answer.ts";
import { printable } from "../../domain/printable.ts";
import { type Look, renderTable } from "./table.ts";

/** What was not counted. */
const UNKNOWN = "-";
const RUNS = ["Runs", "Runs/s", "ns/run", "CPU %"];
/** Below this, digits behind the point say something. */
const PRECISE_BELOW = 100;

const shown = (value: number | null): string => (value === null ? UNKNOWN : String(value));

function runsCells({ runs, runs_per_second: rate, ns_per_run: time, cpu_percent: cpu }: RunsAnswer): string[] {
  const perSecond = rate !== null && rate >= PRECISE_BELOW ? Math.round(rate) : rate;
  return [shown(runs), shown(perSecond), shown(time), cpu === null ? UNKNOWN : cpu.toFixed(2)];
}

/** Aligns columns of numbers on the right. */
function aligned(heading: readonly string[], rows: readonly (readonly string[])[]): string[][] {
  const lines = [heading, ...rows];
  const widths = heading.map((name, at) =>
    RUNS.includes(name) ? Math.max(...lines.map((cells) => cells[at]?.length ?? 0)) : 0,
  );
  return lines.map((cells) => cells.map((cell, at) => cell.padStart(widths[at] ?? 0)));
}

function table(names: readonly string[], cells: readonly (readonly string[])[], look: Look): string {
  const [heading = [], ...rows] = aligned(names, cells);
  return renderTable({ heading, rows, uncut: 1 }, look);
}

const ownerOf = ({ application, owner }: ProgramStatsAnswer): string => application ?? owner ?? "";

function renderPrograms(programs: readonly ProgramStatsAnswer[], look: Look): string {
  const rows = programs.map((program) => [
    String(program.program_id),
    ownerOf(program),
    program.type,
    program.name,
    ...runsCells(program),
  ]);
  return table(["Program ID", "Owner", "Type", "Function Name", ...RUNS], rows, look);
}

const NAME_OF = { xdp: "XDP", "tc-ingress": "TC ingress", "tc-egress": "TC egress" } as const;

function renderChain({ key, interface: name, members }: ChainStatsAnswer, look: Look): string {
  const rows = members.map((member) => [
    String(member.position),
    String(member.program_id),
    member.program_name,
    ...runsCells(member),
    Object.entries(member.verdicts)
      .map(([verdict, count]) => `${verdict} ${count}`)
      .join(", "),
  ]);
  const title = `${NAME_OF[key.type]} on ${printable(name)}`;
  return `\n ${title}\n${table(["#", "Program ID", "Function Name", ...RUNS, "Verdicts"], rows, look)}`;
}

function notesOf({ programs, chains, not_counted: notCounted, members_not_counted: reason }: StatsAnswer): string[] {
  const notes = notCounted === null ? [] : [`runs were not counted: ${notCounted}`];
  const hidden = programs.filter((program) => program.in_chain && program.runs === null).map((each) => each.program_id);
  if (notCounted === null && chains === undefined && hidden.length > 0) {
    const who = hidden.length === 1 ? `program ${hidden[0]} is a member` : `programs ${hidden.join(", ")} are members`;
    notes.push(`${who} of a chain, which the kernel does not count one by one: --members does`);
  }
  if (chains?.length === 0) notes.push("there are no members: none of these programs is bpfman's on an XDP or TC hook");
  if (reason !== undefined && reason !== null) notes.push(`members of chains were not counted: ${reason}`);
  return notes.map(printable);
}

export function renderStats(answer: StatsAnswer, look: Look): string {
  const chains = (answer.chains ?? []).map((chain) => renderChain(chain, look));
  const notes = notesOf(answer).map((note) => `${note}\n`);
  return `${renderPrograms(answer.programs, look)}${chains.join("")}${notes.length === 0 ? "" : `\n${notes.join("")}`}`;
}
