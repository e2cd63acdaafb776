import type { MapChangeAnswer, MapListAnswer, MapLookupAnswer, MapStatusAnswer } from "../../domain/answer.ts";
import { printable, printableJson } from "../../domain/printable.ts";
import { type Look, renderFacts, renderTable } from "./table.ts";

/** `3/1024`; only the size where the entries are not counted. */
const entriesOf = ({ entries, max_entries: most }: MapStatusAnswer): string =>
  entries === null ? String(most) : `${entries}/${most}`;

export function renderMapList({ maps }: MapListAnswer, look: Look): string {
  const heading = ["Map ID", "Name", "Type", "Key", "Value", "Entries", "Memory", "Programs"];
  const rows = maps.map((map) => [
    String(map.id),
    map.name,
    `${map.map_type}${map.frozen ? " (frozen)" : ""}`,
    String(map.key_size),
    String(map.value_size),
    entriesOf(map),
    map.has_memlock ? String(map.memlock) : "",
    map.programs.join(", "),
  ]);
  return renderTable({ heading, rows }, look);
}

const typed = (type: string | null, bytes: number): string => `${type ?? "unknown"} (${bytes} bytes)`;

export function renderMap(map: MapStatusAnswer, look: Look): string {
  return renderFacts(
    "Map",
    [
      ["Map ID:", map.id],
      ["Name:", map.name],
      ["Type:", map.map_type],
      ["Key:", map.key_size === 0 ? null : typed(map.key_type, map.key_size)],
      ["Value:", map.value_size === 0 ? null : typed(map.value_type, map.value_size)],
      ["Entries:", map.entries],
      ["Max Entries:", map.max_entries],
      ["Flags:", map.flags],
      ["Frozen:", map.frozen],
      ["Memory (bytes):", map.has_memlock ? map.memlock : null],
      ["Loaded By Bpfman:", map.managed],
      ["Pins:", map.pins],
      ["Programs:", map.programs],
    ],
    look,
  );
}

/** The value alone, on one line, for scripts. */
export const renderEntryValue = ({ value, values }: MapLookupAnswer): string =>
  `${printableJson(JSON.stringify(values ?? value ?? null))}\n`;

export const renderMapChange = ({ map_id: id, name, changed }: MapChangeAnswer): string =>
  `changed ${changed} ${changed === 1 ? "entry" : "entries"} of map ${id} (${printable(name)})\n`;
