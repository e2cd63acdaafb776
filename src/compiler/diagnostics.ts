import { DIAGNOSTICS_MAX } from "../domain/limits.ts";
import type { DiagnosticAnswer } from "../domain/check-answer.ts";

/** `/x/count.bpf.c:12:5: error: use of undeclared identifier 'x' [-Wflag]`, or without a place, from the driver. */
const LINE =
  /^(?:(.+?):(\d+):(\d+): |clang(?:-\d+)?: )(fatal error|error|warning|note|remark): (.*?)(?: \[([^\]]+)\])?$/;

/** Extracts what clang reports, without the lines that only illustrate it. */
export function parseDiagnostics(output: string): DiagnosticAnswer[] {
  const found: DiagnosticAnswer[] = [];
  for (const text of output.split("\n")) {
    const [, file = null, line, column, word = "", message = "", option = null] = LINE.exec(text) ?? [];
    if (word === "") continue;
    const severity = word.endsWith("error") ? "error" : word === "warning" ? "warning" : "note";
    const number = (digits: string | undefined): number | null => (digits === undefined ? null : Number(digits));
    found.push({ severity, message, option, file, line: number(line), column: number(column) });
    if (found.length === DIAGNOSTICS_MAX) break;
  }
  return found;
}
