/** The screen of `top`. */
import type { ProgramStatsAnswer, StatsAnswer } from "../../domain/stats-answer.ts";
import { BpfmanError } from "../../errors/error.ts";
import type { Session } from "../command.ts";
import { renderStats } from "../render/stats.ts";

const QUIT = ["q", "Q", "\x03", "\x04"];
const UP = ["k", "\x1b[A", "\x1bOA"];
const DOWN = ["j", "\x1b[B", "\x1bOB"];
const PAGE_UP = ["\x1b[5~"];
const PAGE_DOWN = [" ", "\x1b[6~"];

/** Several keys can arrive at once; some of them are sequences, which end in a letter or `~`. */
function keysOf(typed: string): string[] {
  const [first = "", ...rest] = typed.split("\x1b");
  return [
    ...first,
    ...rest.flatMap((text) => {
      const sequence = /^[[O][0-9;]*[A-Za-z~]/.exec(text)?.[0] ?? "";
      return [`\x1b${sequence}`, ...text.slice(sequence.length)];
    }),
  ];
}

type Order = (a: ProgramStatsAnswer, b: ProgramStatsAnswer) => number;

/** The highest first; what was not counted last. */
const falling =
  (key: "cpu_percent" | "runs_per_second" | "ns_per_run"): Order =>
  (a, b) =>
    (b[key] ?? -1) - (a[key] ?? -1) || a.program_id - b.program_id;

const SORTS: Readonly<Record<string, { readonly by: string; readonly order: Order }>> = {
  c: { by: "CPU", order: falling("cpu_percent") },
  r: { by: "runs/s", order: falling("runs_per_second") },
  n: { by: "ns/run", order: falling("ns_per_run") },
  i: { by: "ID", order: (a, b) => a.program_id - b.program_id },
  f: { by: "function", order: (a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.program_id - b.program_id) },
};

interface View {
  sort: string;
  /** Lines that are scrolled out at the top. */
  hidden: number;
}

interface Size {
  readonly columns: number;
  readonly rows: number;
}

/** Lines besides the tables: the title, and the keys. */
const AROUND = 2;

/** What is on the screen. Corrects how far `view` is scrolled. */
function frame(answer: StatsAnswer | null, view: View, { columns, rows }: Size): string[] {
  const sorts = Object.entries(SORTS).map(([key, { by }]) => `${key} ${by}`);
  const keys = ` q quit   sort: ${sorts.join(", ")}   arrows scroll`;
  if (answer === null) return [" bpfman top   measuring", keys];
  const { by, order } = SORTS[view.sort] ?? { by: "", order: () => 0 };
  const sorted = { ...answer, programs: answer.programs.toSorted(order) };
  const lines = renderStats(sorted, { styled: false, columns }).trimEnd().split("\n");
  const [heading = "", ...rest] = lines;
  const room = Math.max(rows - AROUND - 1, 1);
  view.hidden = Math.max(0, Math.min(view.hidden, rest.length - room));
  const shown = rest.slice(view.hidden, view.hidden + room);
  const seconds = (answer.interval_ms / 1000).toFixed(1);
  const title = ` bpfman top   ${answer.programs.length} programs, ${seconds} s, by ${by}`;
  return [title, heading, ...shown, ...Array.from({ length: room - shown.length }, () => ""), keys];
}

/** Measures and shows until the user quits. Throws NO_TERMINAL, CANCELLED for a signal. */
export async function showTop(session: Session, request: Readonly<Record<string, unknown>>): Promise<void> {
  const view: View = { sort: "c", hidden: 0 };
  const quit = new AbortController();
  let answer: StatsAnswer | null = null;
  const screen = session.openScreen({
    typed(keys) {
      for (const key of keysOf(keys)) press(key);
      redraw();
    },
    ended: () => quit.abort(),
    resized: () => redraw(),
  });
  if (screen === null) {
    throw new BpfmanError("NO_TERMINAL", "show a screen: standard input or output is not a terminal", {
      hint: 'type "bpfman stats" for one measurement, also into a file or a pipe',
    });
  }
  const redraw = (): void => {
    if (!quit.signal.aborted) screen.draw(frame(answer, view, screen.size()));
  };
  function press(key: string): void {
    const page = Math.max((screen?.size().rows ?? 0) - AROUND - 1, 1);
    if (QUIT.includes(key)) quit.abort();
    else if (UP.includes(key)) view.hidden--;
    else if (DOWN.includes(key)) view.hidden++;
    else if (PAGE_UP.includes(key)) view.hidden -= page;
    else if (PAGE_DOWN.includes(key)) view.hidden += page;
    else if (Object.hasOwn(SORTS, key.toLowerCase())) view.sort = key.toLowerCase();
  }
  try {
    redraw();
    const write = (bytes: Uint8Array): boolean => {
      answer = JSON.parse(new TextDecoder().decode(bytes)) as StatsAnswer;
      redraw();
      return !quit.signal.aborted;
    };
    const signal = AbortSignal.any([session.signal, quit.signal]);
    await session.invoke("program/stats", request, { sink: { separator: "", write }, signal });
  } catch (thrown) {
    const isQuit = thrown instanceof BpfmanError && thrown.kind === "cancelled" && !session.signal.aborted;
    if (!isQuit) throw thrown;
  } finally {
    screen.close();
  }
}
