/** Passes on what a source puts out as it does, one result after the other, until something ends it. */
import {
  EVENT_BATCH_MAX,
  EVENTS_ALLOWED_MAX,
  EVENTS_ANSWER_CHARS_MAX,
  EVENTS_CHECK_MS,
  EVENTS_PAUSE_MS,
  EVENTS_POLL_MS,
  EVENTS_WAIT_MS,
} from "../../domain/limits.ts";
import { parseForWriting } from "../../domain/exact-json.ts";
import { BpfmanError } from "../../errors/error.ts";
import { JsonText } from "../../object/json-text.ts";
import type { Host } from "../../platform/host.ts";
import type { Context, Sink } from "../operation.ts";

/** How long to go on; null for no limit. */
export interface Extent {
  readonly count: number | null;
  readonly forMs: number | null;
}

export interface Source {
  /** What is counted: `events`. */
  readonly noun: string;
  /** Puts out up to `most` of what is counted, as much as is there now, and what was lost in between. */
  read(most: number, put: Put): void;
  /** Blocks the process until there may be more, but no longer than that. */
  wait(ms: number): void;
  /** Called now and then. Throws if nothing will come any more. */
  check(put: Put): void;
}

/** Where results go. Each is one JSON text, which `write` appends. */
export interface Put {
  result(write: (out: JsonText) => void): void;
  /** A result that says that others were lost; null for a number that is not known. */
  lost(count: number | null, write: (out: JsonText) => void): void;
}

/** How it ended. */
export interface Followed {
  readonly ended: "count" | "time" | "closed";
  readonly read: number;
  /** Null if some may be lost, but nobody counts them. */
  readonly lost: number | null;
  /** All results; empty if they went to a sink. */
  readonly results: readonly unknown[];
}

const NEWLINE = 0x0a;

/** Results wait here until the answer is made. */
function collector(): Sink & { results(): readonly unknown[] } {
  let text = "";
  const decoder = new TextDecoder();
  return {
    separator: "\n",
    write(bytes) {
      text += decoder.decode(bytes, { stream: true });
      return text.length < EVENTS_ANSWER_CHARS_MAX;
    },
    results: () => parseForWriting(`[${text.trimEnd().replaceAll("\n", ",")}]`) as unknown[],
  };
}

/**
 * Follows a source. Without a sink, the answer has the results, and at most {@link EVENTS_ALLOWED_MAX}. Throws CANCELLED, with
 * the numbers in its details, and what the source throws; what was put out before stays.
 */
export async function follow(
  host: Host,
  { signal, log, sink: given }: Pick<Context, "signal" | "log" | "sink">,
  { count, forMs }: Extent,
  integers: "strings" | "digits",
  source: Source,
): Promise<Followed> {
  const collected = given === null ? collector() : null;
  const sink: Sink = given ?? (collected as Sink);
  const limit = Math.min(
    count ?? Number.POSITIVE_INFINITY,
    collected === null ? Number.POSITIVE_INFINITY : EVENTS_ALLOWED_MAX,
  );
  let wanted = true;
  const out = new JsonText({
    flush: (bytes) => {
      if (wanted) wanted = sink.write(bytes);
    },
    quotesLargeIntegers: integers === "strings",
  });
  let read = 0;
  let delivered = 0;
  let isPending = false;
  let lost: number | null = 0;
  const append = (write: (out: JsonText) => void): void => {
    write(out);
    out.byte(NEWLINE);
    isPending = true;
  };
  const put: Put = {
    result(write) {
      append(write);
      read++;
    },
    lost(number, write) {
      append(write);
      lost = number === null || lost === null ? null : lost + number;
    },
  };
  const deliver = (): void => {
    if (!isPending) return;
    isPending = false;
    out.flush();
    sink.deliver?.(read - delivered);
    delivered = read;
  };
  const sayLost = (): void => {
    if (lost === null)
      log.warn(`the buffer was found full: ${source.noun} may be lost, which the kernel does not count`);
    else if (lost > 0) log.warn(`${lost} ${source.noun} were lost: they came faster than they were read`);
  };
  const ended = (how: Followed["ended"]): Followed => {
    sayLost();
    return { ended: how, read, lost, results: collected?.results() ?? [] };
  };

  const start = host.now().getTime();
  let checkedAt = start;
  for (;;) {
    const now = host.now().getTime();
    if (now - checkedAt >= EVENTS_CHECK_MS) {
      checkedAt = now;
      source.check(put);
    }
    const before = read;
    const room = Math.min(EVENT_BATCH_MAX, limit - read, sink.room?.() ?? EVENT_BATCH_MAX);
    if (room > 0) source.read(room, put);
    const isLast = read >= limit || (forMs !== null && now - start >= forMs) || signal.aborted;
    if (isLast) source.check(put);
    deliver();
    if (signal.aborted) {
      sayLost();
      const gap = lost === 0 ? "" : lost === null ? ", some may be lost" : `, ${lost} lost`;
      throw new BpfmanError("CANCELLED", `interrupted after ${read} ${source.noun}${gap}`, { details: { read, lost } });
    }
    if (read >= limit) return ended("count");
    if (isLast) return ended("time");
    if (!wanted || (read === before && sink.isAbandoned?.() === true)) return ended("closed");
    // Lets signals and, in a session, other requests in. What comes in the meantime is read at once.
    if (read > before) await host.sleep(read - before < room ? EVENTS_PAUSE_MS : 0);
    else if (sink.mayBlock === true) {
      const left = forMs === null ? EVENTS_WAIT_MS : Math.max(0, start + forMs - now);
      source.wait(Math.min(EVENTS_WAIT_MS, left));
      await host.sleep(0);
    } else await host.sleep(EVENTS_POLL_MS);
  }
}
