import type { MapEventAnswer, MapEventsAnswer } from "../../domain/answer.ts";
import { isRingBuffer } from "../../domain/map-kinds.ts";
import { BpfmanError } from "../../errors/error.ts";
import { bytesType, type ValueType } from "../../object/btf-value.ts";
import type { JsonText } from "../../object/json-text.ts";
import type { Host } from "../../platform/host.ts";
import type { EventTaker, OpenEvents } from "../../platform/kernel.ts";
import { eventTypes, usersOf } from "../events/event-type.ts";
import { findSource } from "../events/find-source.ts";
import { follow, type Put } from "../events/follow.ts";
import type { KnownMap } from "../map/find-map.ts";
import { requireOurs } from "../map/find-map.ts";
import { type Context, operation } from "../operation.ts";
import { type FollowEventsRequest, followEventsRequest } from "../requests/map-requests.ts";

const encoder = new TextEncoder();
const CLOSE = 0x7d;
const CPU = encoder.encode('{"cpu":');
const startOf = (name: string) => ({ alone: encoder.encode(`{"${name}":`), after: encoder.encode(`,"${name}":`) });
const [EVENT, RAW] = [startOf("event"), startOf("raw")];

/** Begins a line that says which of several types the event has. */
const namedStart = ({ name }: ValueType) => ({
  alone: encoder.encode(`{"type":${JSON.stringify(name)},"event":`),
  after: encoder.encode(`,"type":${JSON.stringify(name)},"event":`),
});

/** Puts out events by the types of their sizes. `unfit` is called when a size begins to come for which there is none. */
function takerOf(types: ReadonlyMap<number, ValueType>, put: Put, unfit: (bytes: number) => void): EventTaker {
  const raw = new Map<number, ValueType>();
  const layoutOf = (bytes: number) => {
    const type = types.get(bytes);
    if (type !== undefined) return { type, start: types.size > 1 ? namedStart(type) : EVENT };
    if (types.size > 0) unfit(bytes);
    const known = raw.get(bytes) ?? bytesType("bytes", bytes);
    raw.set(bytes, known);
    return { type: known, start: RAW };
  };
  // Kept from one event to the next, which mostly has the same size: this runs for each of them.
  let [view, at, bytes, cpu]: Parameters<EventTaker["event"]> = [new DataView(new ArrayBuffer(0)), 0, -1, null];
  let { type, start }: ReturnType<typeof layoutOf> = { type: bytesType("bytes", 0), start: RAW };
  const write = (out: JsonText): void => {
    if (cpu === null) out.raw(start.alone);
    else {
      out.raw(CPU);
      out.integer(cpu);
      out.raw(start.after);
    }
    type.write(view, at, out);
    out.byte(CLOSE);
  };
  return {
    event(memory, place, size, processor) {
      if (size !== bytes) ({ type, start } = layoutOf(size));
      view = memory;
      at = place;
      bytes = size;
      cpu = processor;
      put.result(write);
    },
    lost: (count, processor) =>
      put.lost(count, (out) =>
        out.json(JSON.stringify(processor === null ? { lost: count } : { cpu: processor, lost: count })),
      ),
  };
}

/** Throws EVENTS_TAKEN, MAP_NOT_MANAGED: a perf buffer has one reader, and the last that comes stays. */
function requireUnread(host: Host, known: KnownMap, foreign: boolean): void {
  requireOurs(known, foreign);
  const [reader] = foreign ? [] : host.processes.readersOf(known.id);
  if (reader === undefined) return;
  throw new BpfmanError(
    "EVENTS_TAKEN",
    `perf buffer ${known.id} (${known.name}) is read by process ${reader.pid} (${reader.name}), and only one can read it`,
    {
      details: { map_id: known.id, pid: reader.pid },
      hint: "stop it first, or give --foreign: it then gets no more events, even afterwards",
    },
  );
}

/** Throws MAP_NOT_FOUND as soon as no program uses the map any more, if one did. */
function presence(host: Host, known: KnownMap): () => void {
  let users = usersOf(host, known).map(({ id }) => id);
  return () => {
    if (users.length === 0 || users.some((id) => host.kernel.program(id) !== null)) return;
    users = usersOf(host, { ...known, programs: [] }).map(({ id }) => id);
    if (users.length > 0) return;
    throw new BpfmanError("MAP_NOT_FOUND", `map ${known.id} (${known.name}) is gone: no program uses it any more`, {
      details: { map_id: known.id },
    });
  };
}

function opened(host: Host, known: KnownMap): OpenEvents {
  const events = host.kernel.openEvents(known.id);
  if (events !== null) return events;
  throw new BpfmanError("MAP_NOT_FOUND", `map ${known.id} (${known.name}) does not exist any more`, {
    details: { map_id: known.id },
  });
}

async function followEvents(host: Host, request: FollowEventsRequest, context: Context): Promise<MapEventsAnswer> {
  const { log } = context;
  const known = findSource(host, request.source);
  const map = host.kernel.map(known.id);
  const isRing = map !== null && isRingBuffer(map);
  const named = typeof request.type === "string" ? [request.type] : (request.type ?? []);
  const types = request.raw ? new Map<number, ValueType>() : eventTypes(host, known, { named, isRing });
  const names = [...types.values()].map(({ name }) => name);
  if (!isRing) {
    context.requireCapabilities(["CAP_PERFMON"], "reading a perf buffer");
    requireUnread(host, known, request.foreign);
  }
  const readers = host.processes.readersOf(known.id);
  for (const { pid, name } of readers) {
    const what = isRing ? "each event goes to one of the readers" : "it gets no more events, even afterwards";
    log.warn(`process ${pid} (${name}) reads map ${known.id} (${known.name}), too: ${what}`);
  }
  if (types.size === 0 && !request.raw) {
    log.warn(
      `the type of the events of map ${known.id} (${known.name}) is not known: they are shown as bytes; --type names a struct`,
    );
  }
  const check = presence(host, known);
  const events = opened(host, known);
  let warned = false;
  let taker: EventTaker | null = null;
  const takerFor = (put: Put): EventTaker => {
    taker ??= takerOf(types, put, (bytes) => {
      const sizes = [...types.values()].map((type) => `${type.name} has ${type.bytes}`).join(", ");
      if (!warned) log.warn(`an event has ${bytes} bytes, but ${sizes}: such events are shown as bytes`);
      warned = true;
    });
    return taker;
  };
  try {
    context.progress(
      `reading the events of map ${known.id} (${known.name})${names.length === 0 ? "" : ` as ${names.join(", ")}`}`,
    );
    const { results, ...followed } = await follow(host, context, request, request.integers, {
      noun: "events",
      read: (most, put) => events.read(most, takerFor(put)),
      wait: (ms) => events.wait(ms),
      check(put) {
        events.tellLost(takerFor(put));
        check();
      },
    });
    return {
      ...{ map_id: known.id, type: names.length === 1 ? (names[0] ?? null) : null, types: names, readers },
      ...{ ...followed, events: results as readonly MapEventAnswer[] },
    };
  } finally {
    events.close();
  }
}

export const implementation = operation({
  get request() {
    return followEventsRequest();
  },
  run: followEvents,
});
