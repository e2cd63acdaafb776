import type {
  CheckAnswer,
  CheckedFileAnswer,
  CheckedProgramAnswer,
  DiagnosticAnswer,
} from "../../domain/check-answer.ts";
import type { SourceLine } from "../../domain/object-file.ts";
import { printable } from "../../domain/printable.ts";
import { renderLine } from "./source.ts";
import { type Look, renderTable } from "./table.ts";

const number = (value: number | null | undefined): string => (value == null ? "" : String(value));

const changeOf = ({ baseline }: CheckedProgramAnswer): string => {
  if (baseline === null) return "new";
  const { change_percent: change, verified_instructions: before, worse } = baseline;
  if (change !== null) return `${change > 0 ? "+" : ""}${change} %${worse ? " !" : ""}`;
  if (before === null) return "was refused";
  return worse ? `was ${before} !` : "";
};

/** Renders a table of each file's programs, then everything that is refused, with its place. */
export function renderCheck(answer: CheckAnswer, look: Look): string {
  return `${answer.files.map((file) => renderFile(file, answer, look)).join("\n")}\n${conclusion(answer)}\n`;
}

function renderFile(file: CheckedFileAnswer, { baseline }: CheckAnswer, look: Look): string {
  const change = baseline === null ? [] : ["Change"];
  const heading = ["Program", "Type", "Verdict", "Instructions", ...change, "States", "Peak", "Stack", "Time", "JIT"];
  const rows = file.programs.map((program) => {
    const { name, type, verdict, cost } = program;
    return [
      name,
      type,
      verdict,
      number(cost?.verified_instructions),
      ...(baseline === null ? [] : [changeOf(program)]),
      number(cost?.total_states),
      number(cost?.peak_states),
      number(cost?.stack_bytes),
      cost?.verification_time_us == null ? "" : `${cost.verification_time_us} us`,
      number(cost?.jited_bytes),
    ];
  });
  const said = file.diagnostics.map(renderDiagnostic).join("");
  const table = rows.length === 0 ? "" : renderTable({ heading, rows }, look);
  return `${printable(file.path)}:\n${said}${table}${file.programs.map(renderDetails).join("")}`;
}

function renderDiagnostic({ severity, message, option, file, line, column }: DiagnosticAnswer): string {
  const place = file === null ? "" : `${printable([file, line, column].join(":"))}: `;
  return `${place}${severity}: ${printable(message)}${option === null ? "" : ` [${printable(option)}]`}\n`;
}

/** `count.bpf.c:12:5` */
const placeOf = ({ file, line, column }: SourceLine): string =>
  printable([file ?? "?", line, ...(column === null ? [] : [column])].join(":"));

function renderDetails({ name, verdict, reason, refusal }: CheckedProgramAnswer): string {
  if (verdict === "skipped") return `\n${printable(name)}: skipped: ${printable(reason ?? "")}\n`;
  if (refusal === null) return "";
  const { code, source, path, acquired, hint } = refusal;
  const lines = [`\n${printable(name)}: refused (${code}): ${printable(refusal.reason)}`];
  if (source !== null) lines.push(...renderLine("at", source));
  if (acquired !== null) lines.push(...renderLine("reference taken at", acquired));
  if (path.length > 0) {
    lines.push("  after");
    for (const line of path)
      lines.push(`    ${placeOf(line)}${line.text === null ? "" : `  ${printable(line.text.trim())}`}`);
  }
  if (hint !== null) lines.push(`hint: ${printable(hint)}`);
  return `${lines.join("\n")}\n`;
}

/** What a check comes to, as a sentence. */
export function conclusion({ files, kernel, baseline }: CheckAnswer): string {
  const programs = files.flatMap((file) => file.programs);
  const count = (verdict: string): number => programs.filter((program) => program.verdict === verdict).length;
  const broken = files.filter(({ refusal }) => refusal !== null).length;
  const dearer = programs.filter(
    (program) => program.verdict === "accepted" && program.baseline?.worse === true,
  ).length;
  const parts = [
    `${count("accepted")} accepted`,
    ...(count("refused") > 0 ? [`${count("refused")} refused`] : []),
    ...(count("skipped") > 0 ? [`${count("skipped")} skipped`] : []),
    ...(broken > 0 ? [`${broken} ${broken === 1 ? "source does" : "sources do"} not compile`] : []),
    ...(dearer > 0
      ? [`${dearer} over ${baseline?.tolerance_percent} % dearer than on ${printable(baseline?.kernel ?? "")}`]
      : []),
  ];
  return `Linux ${printable(kernel)}: ${parts.join(", ")}`;
}
