import type { MapDumpAnswer, MapEntryAnswer } from "../../domain/answer.ts";
import { parseForWriting } from "../../domain/exact-json.ts";
import { MAP_BATCH_ENTRIES_MAX } from "../../domain/limits.ts";
import { mapKind } from "../../domain/map-kinds.ts";
import { BpfmanError } from "../../errors/error.ts";
import { JsonText } from "../../object/json-text.ts";
import type { Host } from "../../platform/host.ts";
import { adaptersFor } from "../map/find-map.ts";
import { entryWriter, requireKind, type TypedMap, withMap } from "../map/typed-map.ts";
import { type Context, operation, type Sink } from "../operation.ts";
import { type DumpMapRequest, dumpMapRequest } from "../requests/map-requests.ts";

const NO_KEYS = new Uint8Array(0);

/** The next value of a queue or stack, as a list of at most one entry; nothing is taken out. */
function peeked({ open }: TypedMap, write: ReturnType<typeof entryWriter>, out: JsonText): void {
  const value = open.lookup(null);
  if (value !== null) write(NO_KEYS, value)(0, out);
}

/** Writes all entries to the sink, one batch after the other. Memory does not grow with the map. */
async function stream(
  host: Host,
  map: TypedMap,
  request: DumpMapRequest,
  sink: Sink,
  signal: AbortSignal,
): Promise<void> {
  let isWanted = true;
  const flush = (bytes: Uint8Array): void => {
    if (isWanted) isWanted = sink.write(bytes);
  };
  const out = new JsonText({ flush, quotesLargeIntegers: request.integers === "strings" });
  const separator = new TextEncoder().encode(sink.separator);
  const write = entryWriter(map, request);
  if (mapKind(map.open.map).shape === "queue") {
    peeked(map, write, out);
    out.flush();
    return;
  }
  let written = 0;
  try {
    for (const { keys, values, count } of map.open.batches(request.cursor, MAP_BATCH_ENTRIES_MAX)) {
      const writeEntry = write(keys, values);
      for (let i = 0; i < count; i++) {
        if (written > 0) out.raw(separator);
        writeEntry(i, out);
        written++;
      }
      // Lets signals in.
      await host.sleep(0);
      if (signal.aborted) throw new BpfmanError("CANCELLED", "interrupted");
      if (!isWanted) return;
    }
    out.flush();
  } catch (thrown) {
    // What was handed over may end in the middle of an entry.
    out.flush();
    if (!(thrown instanceof BpfmanError) || written === 0) throw thrown;
    const entries = written === 1 ? "1 entry" : `${written} entries`;
    const message = `${thrown.message}; the output is not complete: it ends after ${entries}`;
    throw thrown.with({ message, details: { entries: written } });
  }
}

/** Entries up to the limit, and where the next page begins. */
function page(map: TypedMap, { cursor, limit, integers, ...shown }: DumpMapRequest): Omit<MapDumpAnswer, "map_id"> {
  const out = new JsonText({ quotesLargeIntegers: integers === "strings" });
  const write = entryWriter(map, shown);
  out.json("[");
  let next: string | null = null;
  if (mapKind(map.open.map).shape === "queue") peeked(map, write, out);
  else {
    for (const batch of map.open.batches(cursor, limit)) {
      const writeEntry = write(batch.keys, batch.values);
      for (let i = 0; i < batch.count; i++) {
        if (i > 0) out.byte(0x2c);
        writeEntry(i, out);
      }
      next = batch.next;
      if (batch.count > 0 || next === null) break;
    }
  }
  out.json("]");
  return { entries: parseForWriting(out.toString()) as MapEntryAnswer[], next };
}

const dumpMap = (host: Host, request: DumpMapRequest, { sink, signal }: Context): Promise<MapDumpAnswer> =>
  withMap(host, request.map, request.raw, async (map) => {
    requireKind(map, "unreadable", "dump");
    if (mapKind(map.open.map).shape === "filter") {
      throw new BpfmanError(
        "NOT_SUPPORTED",
        `cannot dump map ${map.known.id}, a bloom filter: it does not keep its values`,
        {
          details: { map_id: map.known.id },
          hint: `"bpfman map lookup ${map.known.id} VALUE" says whether it may have a value`,
        },
      );
    }
    const map_id = map.known.id;
    if (sink === null) return { map_id, ...page(map, request) };
    await stream(host, map, request, sink, signal);
    return { map_id, entries: [], next: null };
  });

export const implementation = operation({
  get request() {
    return dumpMapRequest();
  },
  uses: ({ map }) => adaptersFor(map),
  run: dumpMap,
});
