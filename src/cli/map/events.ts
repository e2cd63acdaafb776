/** Commands that go on until they are ended: events of programs, what programs print, changes on this host. */
import { printable } from "../../domain/printable.ts";
import { defineCommand, optional, required, several, vary } from "../command.ts";
import { FOREIGN, RAW } from "./map.ts";
import { parseDuration, whole } from "../parse/word.ts";
import { renderChange, renderTraceLine } from "../render/events.ts";

const SOURCE = required({
  long: "source",
  completes: "event-source",
  doc: [
    "A program that fills one buffer: its ID, name or application.",
    "Or the ring buffer or perf buffer, named like a map: its ID, PROGRAM_ID/NAME,",
    "APPLICATION/NAME, a name, or a pin's path.",
  ],
});
const TYPE = several({
  takes: "each",
  long: "type",
  metavar: "STRUCT",
  completes: "event-type",
  doc: [
    "The struct that events are, as the program's C source names it. Repeat the option for",
    "structs of different sizes: each event is shown as the one of its size.",
    "By default, the one that the map declares, or those to which the program has a global",
    "pointer, as in `const struct event *unused __attribute__((unused));`.",
  ],
});
const COUNT = optional(
  { long: "count", short: "n", metavar: "NUMBER", doc: ["End after that many."] },
  whole("count", { min: 1, max: Number.MAX_SAFE_INTEGER }),
);
const FOR = optional(
  { long: "for", metavar: "DURATION", doc: ["End after that time: 10s, 1m, 500ms."] },
  parseDuration,
);
const TAKEN = vary(FOREIGN, {
  doc: [
    "Read a perf buffer even if another tool made it, or another process reads it.",
    "That process then gets no more events.",
  ],
});
const BYTES = vary(RAW, { doc: ["Print events as bytes in hex, whatever their type."] });

const ENDING = [
  "It ends with exit code 0 after --count or --for, or when whatever reads its output",
  "has ended; with 130 on Ctrl-C and SIGTERM.",
];

export const events = defineCommand(() => ({
  description: [
    "Prints what a program passes to user space through a ring buffer or perf buffer, a",
    "line of JSON for each event, as it comes. A line has the `event`, and where there are",
    "several types its `type`; or, of an event that does not have the size of a type, its",
    "bytes in hex as `raw`; or how many events were `lost` there. For a perf buffer, it also",
    "has the `cpu`.",
    "",
    "The kernel does not count what finds no room in a ring buffer: where it was full, `lost`",
    "is null. What is read is taken out of the buffer, so another reader does not get it.",
    "",
    ...ENDING,
  ],
  fields: { source: SOURCE, type: TYPE, count: COUNT, forMs: FOR, raw: BYTES, foreign: TAKEN },
  classic: {
    words: ["source"],
    examples: {
      "Print the events of a program": "bpfman events 63178",
      "Print ten of them as a certain struct": "bpfman events 63178/connections --type connection --count 10",
      "Keep what comes in a minute": "bpfman events 63178 --for 1m",
    },
  },
  prepare:
    ({ type, ...request }) =>
    async (session) =>
      void (await session.follow("map/events", {
        ...request,
        type: type.length === 0 ? null : type,
        integers: "digits",
      })),
}));

export const trace = defineCommand(() => ({
  description: [
    "Prints what programs print with bpf_printk, all of them, as it comes: the task on whose",
    "behalf the program ran, its PID, the CPU, the time in seconds, and the text. With",
    "-o json, a line of JSON for each.",
    "",
    "What was printed before, and nobody has read, comes first.",
    "",
    "It reads trace_pipe of the tracing file system, which need not be mounted. What is",
    "read is taken out of it: another reader does not get it.",
    "",
    ...ENDING,
  ],
  fields: { count: COUNT, forMs: FOR },
  classic: {
    examples: {
      "Print what programs print": "bpfman trace",
      "Wait for one line, for scripts": "bpfman trace --count 1 --for 1m -o json",
    },
  },
  prepare: (request) => async (session) => void (await session.follow("trace", request, renderTraceLine)),
}));

export const watch = defineCommand(() => ({
  description: [
    "Prints what changes on this host, whoever changes it with bpfman: programs that are",
    "loaded and unloaded, links that are attached, changed and detached, chains. With",
    "-o json, a line of JSON for each, with the record, as JSON-RPC clients get it.",
    "",
    ...ENDING,
  ],
  fields: {
    since: optional(
      {
        long: "since",
        aliases: ["after"],
        metavar: "SEQUENCE",
        doc: [
          "Begin after the change of that number, with those that were made meanwhile; 0 for all",
          "that are known. Each line of JSON has its number as `sequence`. If some after it are",
          "not known any more, a warning says so: list what there is.",
        ],
      },
      whole("sequence", {
        min: 0,
        max: Number.MAX_SAFE_INTEGER,
        seen: 'each line of "bpfman watch -o json" has its number as "sequence"; for a time, type "bpfman history --since 1h"',
      }),
    ),
    count: COUNT,
    forMs: FOR,
  },
  classic: {
    examples: {
      "See what is loaded and attached": "bpfman watch",
      "Wait until something changes": "bpfman watch --count 1 -o json",
      "Go on after the last change that was seen": "bpfman watch --since 41 -o json",
    },
  },
  prepare: (how) => (session) => session.watch(how, (change) => `${printable(renderChange(change))}\n`),
}));
