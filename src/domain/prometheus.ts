/** Metrics in Prometheus's text format 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats/). */
import { printableBlock } from "./printable.ts";
import type { MetricAnswer } from "./stats-answer.ts";

const escapedHelp = (text: string): string => text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
/** What affects a terminal is shown as in all other output, since metrics are printed, too. */
const escapedLabel = (text: string): string => escapedHelp(printableBlock(text)).replaceAll('"', '\\"');

/** `{kind="xdp",application="web"}`; nothing without labels. */
function labelled(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escapedLabel(value)}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

/** Metrics without samples are left out. */
export function prometheusText(metrics: readonly MetricAnswer[]): string {
  const lines = metrics
    .filter(({ samples }) => samples.length > 0)
    .flatMap(({ name, type, help, samples }) => [
      `# HELP ${name} ${escapedHelp(help)}`,
      `# TYPE ${name} ${type}`,
      ...samples.map(({ labels, value }) => `${name}${labelled(labels)} ${value}`),
    ]);
  return lines.map((line) => `${line}\n`).join("");
}
