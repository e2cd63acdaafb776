import type { Facts } from "../../domain/history.ts";
import { mapKind } from "../../domain/map-kinds.ts";
import { BpfmanError } from "../../errors/error.ts";
import type { Host } from "../../platform/host.ts";
import type { Context } from "../operation.ts";
import { requireOurs } from "./find-map.ts";
import { requireKind, type TypedMap, withMap } from "./typed-map.ts";

interface Change {
  readonly map: string | number;
  readonly raw?: boolean;
  readonly foreign: boolean;
}

/** Opens a map to change it, and tells the history which. Throws MAP_NOT_MANAGED, MAP_FROZEN, NOT_SUPPORTED, and what {@link withMap} throws. */
export const changingMap = <T>(
  host: Host,
  { map: named, raw = false, foreign }: Change,
  context: Context,
  work: (map: TypedMap) => T,
): Promise<T> => {
  context.note({ place: `map ${named}` });
  return withMap(host, named, raw, (map) => {
    const { known, open } = map;
    context.note(factsOf(map, null));
    requireOurs(known, foreign);
    requireKind(map, "unwritable", "change");
    if (open.map.frozen) {
      throw new BpfmanError("MAP_FROZEN", `map ${known.id} (${known.name}) is frozen: it cannot be changed any more`, {
        details: { map_id: known.id },
        hint: known.name.includes(".rodata") ? "constants are set at load, with --set NAME=VALUE" : null,
      });
    }
    return work(map);
  });
};

/** Throws NOT_SUPPORTED if entries of the map cannot be deleted one by one. */
export function requireDeletable({ known, open }: TypedMap): void {
  const { fixed, shape } = mapKind(open.map);
  if (!fixed && shape === "entries") return;
  const why = fixed
    ? "all entries of an array are always there"
    : shape === "queue"
      ? "only the next value can be taken out"
      : "a bloom filter never forgets";
  throw new BpfmanError("NOT_SUPPORTED", `cannot delete an entry of map ${known.id} (${known.name}): ${why}`, {
    details: { map_id: known.id },
    hint: fixed
      ? `set it to zero with "bpfman map update", or all of them with "bpfman map clear"`
      : `"bpfman map clear" takes all out`,
  });
}

/** What the history says of a change. */
export const factsOf = ({ known }: TypedMap, key: Uint8Array | null): Facts => ({
  programs: known.programs.map(({ id }) => id),
  place: `map ${known.id} ${known.name}${key === null ? "" : ` ${key.toHex()}`}`,
});
