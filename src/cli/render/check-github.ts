/** Workflow commands, which GitHub Actions turn into annotations. */
import type { CheckAnswer } from "../../domain/check-answer.ts";
import { printable } from "../../domain/printable.ts";
import { conclusion } from "./check.ts";
import { problemsOf } from "./check-problems.ts";

const escapedData = (text: string): string =>
  printable(text).replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
const escapedProperty = (text: string): string => escapedData(text).replaceAll(":", "%3A").replaceAll(",", "%2C");

const COMMANDS = { error: "error", warning: "warning", note: "notice" } as const;

/** Renders a command for each problem, and a notice of what it comes to. */
export function renderGithub(answer: CheckAnswer): string {
  const lines = problemsOf(answer).map(({ level, rule, message, file, line, column, program }) => {
    const title = program === null ? rule : `${program}: ${rule}`;
    const places = [
      ["file", file],
      ["line", line],
      ["col", column],
      ["title", title],
    ] as const;
    const given = places.flatMap(([name, value]) =>
      value === null ? [] : `${name}=${escapedProperty(String(value))}`,
    );
    return `::${COMMANDS[level]} ${given.join(",")}::${escapedData(message)}\n`;
  });
  return `${lines.join("")}::notice title=bpfman check::${escapedData(conclusion(answer))}\n`;
}
