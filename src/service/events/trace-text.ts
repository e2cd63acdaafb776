/** The text of trace_pipe (kernel/trace/trace_output.c), as far as bpf_printk writes it. */
import type { TraceLineAnswer } from "../../domain/answer.ts";

/** `           <...>-1234    [001] b..2.  4321.123456: bpf_trace_printk: hello`. A task's name may contain anything. */
const EVENT = /^ *(.*)-(\d+) +(?:\( *[-\d]+\) +)?\[(\d+)\] +(?:\S+ +)?([\d.]+): ([^ :]+): (.*)$/;
const LOST = /^CPU:(\d+) \[LOST (\d+) EVENTS\]$/;
const PRINTED = "bpf_trace_printk";

/**
 * Splits text as it comes into what was printed, and what was lost. A message of several lines is one. Lines of others, which
 * trace in the same place, are left out.
 */
export class TraceText {
  readonly #decoder = new TextDecoder();
  #rest = "";
  /** Of the last event, which may go on in the next line. */
  #open: TraceLineAnswer | "other" | null = null;

  /** Returns what is complete after these bytes. Without any, all that there is. */
  add(bytes: Uint8Array): TraceLineAnswer[] {
    const found: TraceLineAnswer[] = [];
    const lines = (this.#rest + this.#decoder.decode(bytes, { stream: true })).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) this.#addLine(line, found);
    // Nothing more is there now: what was read is whole.
    if (bytes.length === 0) this.#close(found);
    return found;
  }

  #addLine(line: string, found: TraceLineAnswer[]): void {
    const [, task, pid, cpu, time, by, message] = EVENT.exec(line) ?? [];
    if (by !== undefined) {
      this.#close(found);
      const numbers = { pid: Number(pid), cpu: Number(cpu), at_seconds: Number(time) };
      this.#open = by === PRINTED ? { task: task ?? "", ...numbers, message: message ?? "" } : "other";
      return;
    }
    const [, processor, lost] = LOST.exec(line) ?? [];
    if (lost !== undefined) {
      this.#close(found);
      found.push({ cpu: Number(processor), lost: Number(lost) });
    } else if (this.#open !== null && this.#open !== "other") {
      this.#open = { ...this.#open, message: `${this.#open.message}\n${line}` };
    }
  }

  #close(found: TraceLineAnswer[]): void {
    if (this.#open !== null && this.#open !== "other") {
      found.push({ ...this.#open, message: this.#open.message?.replace(/\n+$/, "") ?? "" });
    }
    this.#open = null;
  }
}
