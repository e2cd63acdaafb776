import type { RestoreAnswer, RestoredAnswer, RestoredLinkAnswer, RestoredProgramAnswer } from "../../domain/answer.ts";
import { printable } from "../../domain/printable.ts";

function programLine({ was, name, program_id: id, application, result, reason }: RestoredProgramAnswer): string {
  const what = `program ${was} "${name}"${application === null ? "" : ` of ${application}`}`;
  if (result === "restored") return `restored: ${what} as program ${id}`;
  return reason === null ? `${result}: ${what}` : `${result}: ${what}: ${reason} (program:${was})`;
}

function linkLine({ link_id: id, place, program_id: program, result, reason }: RestoredLinkAnswer): string {
  const what = `link ${id}, ${place}`;
  if (result === "restored") return `restored: ${what}, of program ${program}`;
  return reason === null ? `${result}: ${what}` : `${result}: ${what}: ${reason} (link:${id})`;
}

const counted = (count: number, one: string): string => `${count} ${one}${count === 1 ? "" : "s"}`;

function summary({ programs, links }: RestoreAnswer): string[] {
  const count = (list: readonly RestoredAnswer[], wanted: RestoredAnswer["result"]) =>
    list.filter(({ result }) => result === wanted).length;
  return (["restored", "planned", "waiting", "forgotten"] as const).flatMap((result) => {
    const [some, others] = [count(programs, result), count(links, result)];
    return some + others === 0 ? [] : `${result}: ${counted(some, "program")}, ${counted(others, "link")}`;
  });
}

export function renderRestore(answer: RestoreAnswer): string {
  const lines = [...answer.programs.map(programLine), ...answer.links.map(linkLine)];
  if (lines.length === 0) return "nothing to restore\n";
  const counts = summary(answer).join("; ");
  return [...lines, counts].map((line) => `${printable(line)}\n`).join("");
}
