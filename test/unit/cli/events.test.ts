/** Commands that print as it comes: what they ask for, and what becomes of each result. */
import { describe, expect, test } from "bun:test";
import { BpfmanError } from "../../../src/errors/error.ts";
import { renderChange } from "../../../src/cli/render/events.ts";
import { type Call, cli } from "../../fakes/cli-host.ts";

/** Writes these lines, in pieces, and then ends as told. */
const printing =
  (text: string, end: () => unknown = () => null) =>
  ({ context }: Call): unknown => {
    const bytes = new TextEncoder().encode(text);
    for (let at = 0; at < bytes.length; at += 7) context.sink?.write(bytes.subarray(at, at + 7));
    return end();
  };

test("words and options become a request", async () => {
  const { calls } = await cli("map events 63178/ring --type connection --type other -n 10 --for 1m --raw --foreign");
  expect(calls.map(({ name, request }) => ({ name, request }))).toEqual([
    {
      name: "map/events",
      request: {
        ...{ source: "63178/ring", type: ["connection", "other"], count: 10, forMs: 60_000 },
        ...{ raw: true, foreign: true, integers: "digits" },
      },
    },
  ]);
  const { calls: others } = await cli("events web");
  expect(others[0]?.request).toMatchObject({ source: "web", type: null, count: null, forMs: null });
  expect((await cli("trace --count 2")).calls[0]).toMatchObject({ name: "trace", request: { count: 2, forMs: null } });
});

const EVENTS = '{"event":{"id":18446744073709551615}}\n{"lost":null}\n';
const LINES = '{"task":"a\\u001b[1m","pid":7,"cpu":1,"at_seconds":43.5,"message":"x\\ny"}\n{"cpu":0,"lost":12}\n';

describe("a result", () => {
  test("is a line of JSON, whatever the format", async () => {
    for (const line of ["events 5", "events 5 -o json"]) {
      expect((await cli(line, { answer: printing(EVENTS) })).out).toBe(EVENTS);
    }
    expect((await cli("trace -o json", { answer: printing(LINES) })).out).toBe(LINES);
  });

  test("of trace is text otherwise, which affects no terminal", async () => {
    expect((await cli("trace", { answer: printing(LINES) })).out).toBe(
      "a\\x1b[1m-7 [001] 43.500000: x\\ny\n[000] 12 lines lost\n",
    );
  });
});

test("an interrupt is the usual end, and no error; a failure is one, after what was printed", async () => {
  const failing = (error: BpfmanError) => () => {
    throw error;
  };
  const interrupted = printing(EVENTS, failing(new BpfmanError("CANCELLED", "interrupted after 1 events")));
  expect(await cli("events 5", { answer: interrupted })).toMatchObject({ code: 130, out: EVENTS, err: "" });
  const gone = printing(EVENTS, failing(new BpfmanError("MAP_NOT_FOUND", "map 5 is gone")));
  expect(await cli("events 5", { answer: gone })).toMatchObject({
    ...{ code: 3, out: EVENTS, err: expect.stringContaining("error: map 5 is gone") },
  });
});

test("a change is a line that says what happened to what", () => {
  const [at, key] = ["2026-01-02T03:04:05.678Z", { type: "xdp", nsid: 1, ifindex: 2 }];
  const link = { sequence: 1, at, link_id: 7, program_id: 5, record: null };
  expect([
    renderChange({ kind: "program/didLoad", sequence: 1, at, program_id: 5, record: null }),
    renderChange({ kind: "link/didAttach", ...link }),
    renderChange({ kind: "link/didUpdate", ...link }),
    renderChange({ kind: "link/didDetach", ...link }),
    renderChange({ kind: "dispatcher/didChange", sequence: 1, at, key, dispatcher: null }),
    renderChange({ kind: "events/didDrop", count: 3, sequence: 9 }),
  ]).toEqual([
    `${at} loaded program 5`,
    `${at} attached link 7: program 5`,
    `${at} changed link 7: program 5`,
    `${at} detached link 7: program 5`,
    `${at} chain xdp 1 2: removed`,
    "3 changes are not known any more",
  ]);
});
