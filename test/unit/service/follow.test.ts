/** What goes on until it is ended: how it ends, what it keeps, and how lines of the trace are told apart. */
import { describe, expect, test } from "bun:test";
import { EVENTS_ALLOWED_MAX, EVENTS_ANSWER_CHARS_MAX } from "../../../src/domain/limits.ts";
import type { Host } from "../../../src/platform/host.ts";
import { follow, type Extent, type Put, type Source } from "../../../src/service/events/follow.ts";
import { TraceText } from "../../../src/service/events/trace-text.ts";
import type { Sink } from "../../../src/service/operation.ts";

/** Its clock goes on only while it sleeps. */
function clock(): Pick<Host, "now" | "sleep"> {
  let ms = 0;
  return {
    now: () => new Date(ms),
    sleep: async (more) => {
      ms += more;
    },
  };
}

interface World {
  readonly extent?: Partial<Extent>;
  readonly sink?: Sink | null;
  readonly signal?: AbortSignal;
  /** Called with each read; puts out numbers by default. */
  readonly read?: (most: number, put: Put) => void;
  readonly check?: () => void;
}

async function followed({ extent = {}, sink = null, signal = new AbortController().signal, ...source }: World) {
  const said: string[] = [];
  const log = { error: () => {}, warn: (text: string) => void said.push(text), info: () => {}, debug: () => {} };
  let next = 0;
  const numbers: Source["read"] = (most, put) => {
    for (let i = 0; i < most; i++) put.result((out) => out.integer(next++));
  };
  const whole: Source = { noun: "numbers", read: numbers, wait: () => {}, check: () => {}, ...source };
  const answer = await follow(
    clock() as Host,
    { signal, sink, log },
    { count: null, forMs: null, ...extent },
    "strings",
    whole,
  );
  return { ...answer, said };
}

/** Takes what is written; `allowed` grows by what the test adds. */
function client(allowed: number) {
  const taken: number[] = [];
  let left = allowed;
  let text = "";
  const sink: Sink = {
    separator: "\n",
    room: () => left,
    write(bytes) {
      text += new TextDecoder().decode(bytes);
      return true;
    },
    deliver(results) {
      left -= results;
      taken.push(...text.trimEnd().split("\n").map(Number));
      text = "";
    },
  };
  return { sink, taken, allow: (more: number) => (left += more) };
}

describe("following a source", () => {
  test("ends after a number, which is exact, or after a time", async () => {
    expect(await followed({ extent: { count: 3 } })).toMatchObject({
      ended: "count",
      read: 3,
      results: [0, 1, 2],
      said: [],
    });
    const nothing = { read: () => {} };
    expect(await followed({ ...nothing, extent: { forMs: 50 } })).toMatchObject({
      ended: "time",
      read: 0,
      results: [],
    });
  });

  test("takes no more than the client allows, and goes on when it allows more", async () => {
    const { sink, taken, allow } = client(5);
    const asked: number[] = [];
    let next = 0;
    const reading = followed({
      sink,
      extent: { count: 8 },
      read(most, put) {
        asked.push(most);
        for (let i = 0; i < most; i++) put.result((out) => out.integer(next++));
      },
      check() {
        expect(taken).toHaveLength(5);
        allow(100);
      },
    });
    expect(await reading).toMatchObject({ ended: "count", read: 8, results: [] });
    expect({ asked, taken }).toEqual({ asked: [5, 3], taken: [0, 1, 2, 3, 4, 5, 6, 7] });
  });

  test("says what was lost: a number, or that nobody knows it", async () => {
    const losing =
      (...counts: readonly (number | null)[]): Source["read"] =>
      (_most, put) => {
        for (const count of counts) put.lost(count, (out) => out.json("{}"));
        put.result((out) => out.integer(1));
      };
    const extent = { count: 1 };
    const some = await followed({ extent, read: losing(2, 3) });
    expect(some).toMatchObject({
      read: 1,
      lost: 5,
      results: [{}, {}, 1],
      said: [expect.stringMatching(/^5 numbers were lost/)],
    });
    expect(await followed({ extent, read: losing(2, null, 3) })).toMatchObject({
      lost: null,
      said: [expect.any(String)],
    });
  });

  test("ends when nobody reads any more: at once, or soon after the last result", async () => {
    const gone = { separator: "\n", write: () => false };
    expect(await followed({ sink: gone })).toMatchObject({ ended: "closed" });
    const idle = { separator: "\n", write: () => true, isAbandoned: () => true };
    expect(await followed({ sink: idle, read: () => {} })).toMatchObject({ ended: "closed", read: 0 });
  });

  test("that is cancelled fails with the numbers, after it has passed on what was read", async () => {
    const { sink, taken } = client(1000);
    const stop = new AbortController();
    const read: World["read"] = (_most, put) => {
      put.result((out) => out.integer(taken.length));
      if (taken.length === 3) stop.abort();
    };
    const cause = await followed({ sink, signal: stop.signal, read }).catch((thrown) => thrown);
    expect(cause).toMatchObject({ code: "CANCELLED", details: { read: 4, lost: 0 } });
    expect(taken).toEqual([0, 1, 2, 3]);
  });

  test("an answer has a bounded number of results, and of characters", async () => {
    expect((await followed({})).read).toBe(EVENTS_ALLOWED_MAX);
    const large = `"${"x".repeat(2 ** 20)}"`;
    const read: World["read"] = (_most, put) => put.result((out) => out.json(large));
    const { ended, results } = await followed({ read });
    expect({ ended, count: results.length }).toEqual({ ended: "closed", count: EVENTS_ANSWER_CHARS_MAX / 2 ** 20 });
  });
});

describe("lines of the trace", () => {
  const NOTHING = new Uint8Array();
  const read = (...pieces: readonly string[]) => {
    const text = new TraceText();
    return [...pieces.map((piece) => new TextEncoder().encode(piece)), NOTHING].flatMap((bytes) => text.add(bytes));
  };
  const line = { task: "ping", pid: 7, cpu: 1, at_seconds: 43.5, message: "hello" };

  test("have a task, a processor, a time and a message", () => {
    expect(read("            ping-7       [001] b..2.    43.500000: bpf_trace_printk: hello\n")).toEqual([line]);
    expect(read("ping-7 [001] 43.500000: bpf_trace_printk: hello\n")).toEqual([line]);
    expect(read("ping-7 ( 7) [001] d... 43.500000: bpf_trace_printk: hello\n")).toEqual([line]);
    expect(read("a - [0] b-7 [001] ..... 43.500000: bpf_trace_printk: a: b\n")).toEqual([
      { ...line, task: "a - [0] b", message: "a: b" },
    ]);
    expect(read("<...>-7 [001] ..... 43.500000: bpf_trace_printk: \n")).toEqual([
      { ...line, task: "<...>", message: "" },
    ]);
  });

  test("may have several lines, and come in pieces", () => {
    const whole = "ping-7 [001] ..... 43.500000: bpf_trace_printk: hello\nyou\n\n";
    const wanted = [{ ...line, message: "hello\nyou" }];
    expect(read(whole)).toEqual(wanted);
    for (let at = 1; at < whole.length; at++) expect(read(whole.slice(0, at), whole.slice(at))).toEqual(wanted);
  });

  test("of others are left out, and lost ones are counted", () => {
    expect(
      read(
        "ping-7 [001] ..... 43.500000: sched_switch: prev_comm=ping\n => behind\n",
        "CPU:1 [LOST 12 EVENTS]\nping-7 [001] ..... 43.500000: bpf_trace_printk: hello\n",
        "ping-7 [001] ..... 43.500000: kmalloc: x\n",
      ),
    ).toEqual([{ cpu: 1, lost: 12 }, line]);
    expect(read("anything\n\n : \n", "\xff\n")).toEqual([]);
  });
});
