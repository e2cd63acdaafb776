import type { DoctorAnswer, FindingAnswer, NoteAnswer, RepairAnswer } from "../../domain/answer.ts";
import { printable } from "../../domain/printable.ts";

const evidenceOf = ({ evidence }: FindingAnswer): string =>
  Object.entries(evidence)
    .map(([name, value]) => `${name}=${Array.isArray(value) ? value.join(",") : (value ?? "none")}`)
    .join(" ");

function renderFinding(finding: FindingAnswer): string {
  const { severity, code, what, consequence, remedy } = finding;
  const evidence = evidenceOf(finding);
  const lines = [
    `${severity}: ${what} [${code}]`,
    ...(evidence === "" ? [] : [`  evidence: ${evidence}`]),
    `  so: ${consequence}`,
    `  do: ${remedy}`,
  ];
  return lines.map((line) => `${printable(line)}\n`).join("");
}

const renderNotes = (notes: readonly NoteAnswer[]): string =>
  notes.map(({ subject, what }) => `${printable(`note: ${what} [${subject}]`)}\n`).join("");

const counted = (count: number, one: string): string => `${count} ${one}${count === 1 ? "" : "s"}`;

export function renderDoctor({ findings, notes, checked }: DoctorAnswer): string {
  const { programs, links, dispatchers } = checked;
  const looked = `${counted(programs, "program")}, ${counted(links, "link")}, ${counted(dispatchers, "chain")}`;
  const result = findings.length === 0 ? "no findings" : counted(findings.length, "finding");
  return `${findings.map(renderFinding).join("")}${renderNotes(notes)}${result}; checked ${looked}\n`;
}

export function renderRepair({ dry_run: dryRun, steps, notes, findings }: RepairAnswer): string {
  const made = steps.map(({ result, action, reason }) => {
    const failure = reason === null ? "" : `: ${reason}`;
    return `${printable(`${result}: ${action}${failure}`)}\n`;
  });
  const nothing = steps.length === 0 ? "nothing to repair\n" : "";
  const left = dryRun ? findings.filter(({ repair }) => repair === null) : findings;
  return `${made.join("")}${renderNotes(notes)}${left.map(renderFinding).join("")}${nothing}`;
}
