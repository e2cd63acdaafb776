import { prometheusText } from "../../domain/prometheus.ts";
import { defineCommand, optional, usageError } from "../command.ts";
import { printable } from "../../domain/printable.ts";
import { GLOBALS } from "../globals.ts";

const FORMATS: readonly string[] = ["text", "json"];

/** A format, or a path: what is neither is a typing mistake, rather than the name of a file. */
function parseOutput(text: string, where: string): string {
  if (FORMATS.includes(text) || /[./]/.test(text)) return text;
  throw usageError(
    `invalid output${where} "${text}": must be text, json, or the path of a file`,
    `a file in this directory is ./${text}`,
  );
}

export const metrics = defineCommand(() => ({
  description: [
    "Print metrics of everything that bpfman keeps, in Prometheus's text format: its",
    "programs, links, maps and chains, and changes that failed. With a file, write",
    "them there, for node_exporter's textfile collector: others see nothing or all.",
    "",
    "Runs and their time are there if the kernel counts them all the time:",
    "sysctl kernel.bpf_stats_enabled=1",
  ],
  fields: {
    output: {
      of: GLOBALS.output,
      ...optional(
        {
          long: "output",
          short: "o",
          metavar: "FILE|FORMAT",
          choices: FORMATS,
          completes: "file",
          default: "text",
          doc: [
            "Write to this file; or the format to print: text or json.",
            "Example: --output /var/lib/node_exporter/bpfman.prom",
          ],
        },
        parseOutput,
      ),
    },
  },
  classic: {
    examples: {
      "Print all metrics": "bpfman metrics",
      "Write them for node_exporter": "bpfman metrics --output /var/lib/prometheus/node-exporter/bpfman.prom",
    },
  },
  prepare: ({ output }) => {
    const file = output === null || FORMATS.includes(output) ? null : output;
    return async (session) =>
      session.print(await session.invoke("metrics", { output: file }), (answer) =>
        answer.file === null
          ? prometheusText(answer.metrics)
          : `wrote ${answer.metrics.length} metrics to ${printable(answer.file)}\n`,
      );
  },
}));
