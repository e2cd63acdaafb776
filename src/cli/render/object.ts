import type { InspectedMapAnswer, ObjectInspectAnswer } from "../../domain/inspect-answer.ts";
import { type Fact, type Look, renderFacts, renderTable } from "./table.ts";

const text = (value: string | number | null): string => (value === null ? "" : String(value));

const shapeOf = ({ type, key_size, value_size, max_entries }: NonNullable<InspectedMapAnswer["inner"]>): string =>
  `${type}, ${key_size ?? 0} + ${value_size ?? 0} bytes, ${max_entries || "no"} entries`;

/** Renders a table of facts, then one of programs, of maps and of global variables, if there are any. */
export function renderObject(answer: ObjectInspectAnswer, look: Look): string {
  const { path, image, externs, requires } = answer;
  const source: Fact[] =
    image === null
      ? [["File:", path]]
      : [
          ["Image URL:", image.reference],
          ["Digest:", image.digest],
          ["File:", image.file],
        ];
  const facts: Fact[] = [
    ...source,
    ["Byte Order:", answer.byte_order],
    [
      "Licence:",
      answer.license === null ? null : `${answer.license}${answer.gpl_compatible ? " (GPL compatible)" : ""}`,
    ],
    ["BTF:", answer.btf ? (answer.line_info ? "with lines of source" : "without lines of source") : null],
    ["From the Kernel:", externs.map(({ name, kind, optional }) => `${name} (${optional ? "optional " : ""}${kind})`)],
    ["Needs:", requires.map(({ feature, since }) => `${feature} (Linux ${since})`)],
  ];
  const programs = answer.programs.map(({ name, section, load_as, target }) => [
    name,
    text(load_as),
    section,
    text(target),
  ]);
  const maps = answer.maps.map(
    ({ name, type, key_size, value_size, key_type, value_type, max_entries, pinning, inner }) => [
      name,
      type,
      key_type ?? (key_size === null ? "" : `${key_size} bytes`),
      value_type ?? (inner === null ? (value_size === null ? "" : `${value_size} bytes`) : shapeOf(inner)),
      text(max_entries || null),
      pinning === "by_name" ? "by name" : "",
    ],
  );
  const globals = answer.globals.map(({ name, section, type, size, value }) => [
    name,
    type ?? `${size} bytes`,
    section,
    value === null ? `(${size} bytes)` : JSON.stringify(value),
  ]);
  return [
    renderFacts("Object", facts, look),
    ...(programs.length === 0
      ? []
      : [renderTable({ heading: ["Program", "Type", "Section", "Target"], rows: programs }, look)]),
    ...(maps.length === 0
      ? []
      : [renderTable({ heading: ["Map", "Type", "Key", "Value", "Entries", "Pinned"], rows: maps }, look)]),
    ...(globals.length === 0
      ? []
      : [renderTable({ heading: ["Variable", "Type", "Section", "Value"], rows: globals }, look)]),
  ].join("\n");
}
