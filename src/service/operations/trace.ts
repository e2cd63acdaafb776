import type { TraceAnswer, TraceLineAnswer } from "../../domain/answer.ts";
import { printableJson } from "../../domain/printable.ts";
import { BpfmanError } from "../../errors/error.ts";
import type { Host } from "../../platform/host.ts";
import type { OpenTrace } from "../../platform/kernel.ts";
import { follow } from "../events/follow.ts";
import { TraceText } from "../events/trace-text.ts";
import { type Context, operation } from "../operation.ts";
import { type TraceRequest, traceRequest } from "../requests/map-requests.ts";

/** Opens trace_pipe, which since Linux 6.6 only one process can read. Throws EVENTS_TAKEN, TRACEFS_UNAVAILABLE, PERMISSION_DENIED. */
function opened(host: Host, readers: readonly string[]): OpenTrace {
  try {
    return host.kernel.openTrace();
  } catch (thrown) {
    if (!(thrown instanceof BpfmanError) || thrown.code !== "EVENTS_TAKEN" || readers.length === 0) throw thrown;
    throw thrown.with({ hint: `stop ${readers.join(", ")} first` });
  }
}

async function trace(host: Host, request: TraceRequest, context: Context): Promise<TraceAnswer> {
  const readers = host.processes.readersOf("trace_pipe").map(({ pid, name }) => `process ${pid} (${name})`);
  const pipe = opened(host, readers);
  for (const reader of readers)
    context.log.warn(`${reader} reads trace_pipe, too: each line goes to one of the readers`);
  const text = new TraceText();
  const waiting: TraceLineAnswer[] = [];
  try {
    context.progress("reading what programs print (bpf_printk)");
    const { results, ...followed } = await follow(host, context, request, "strings", {
      noun: "lines",
      read(most, put) {
        let left = most;
        while (left > 0) {
          if (waiting.length === 0) {
            const bytes = pipe.read();
            waiting.push(...text.add(bytes));
            if (waiting.length === 0 && bytes.length === 0) return;
          }
          const line = waiting.shift();
          if (line === undefined) continue;
          const write = (out: { json(text: string): void }): void => out.json(printableJson(JSON.stringify(line)));
          if (line.lost !== undefined) put.lost(line.lost, write);
          else put.result(write);
          left--;
        }
      },
      wait: (ms) => pipe.wait(ms),
      check: () => {},
    });
    return { ...followed, lines: results as readonly TraceLineAnswer[] };
  } finally {
    pipe.close();
  }
}

export const implementation = operation({
  get request() {
    return traceRequest();
  },
  run: trace,
});
