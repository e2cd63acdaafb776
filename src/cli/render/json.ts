import { printableJson } from "../../domain/printable.ts";

/** Two-space indent and a trailing newline. Escapes characters that affect a terminal; the value is unchanged. */
export const renderJson = (value: unknown): string => `${printableJson(JSON.stringify(value, null, 2))}\n`;

/** Keys of answers whose objects contain users' own keys. */
const FREE = new Set(["metadata", "global_data"]);

/** Keys that newer bpfman's JSON lacks, and beside which other key if not everywhere. Its typed clients reject them. */
const OURS = new Map([
  ["prog_pin_present", null],
  ["map_dir_present", null],
  ["bytecode_present", null],
  ["absolute_source_path", null],
  ["attachment", null],
  ["xdp_mode", null],
  ["state", null],
  ["keep", "program_name"],
  ["replaces", null],
  ["link_id", "id"],
  ["status", "managed"],
]);

function isOurs(key: string, object: object): boolean {
  const beside = OURS.get(key);
  return beside === null || (beside !== undefined && beside in object);
}

/**
 * Returns an answer as the noun-verb grammar prints it, without the additional fields listed in docs/differences.md.
 */
export function nounAnswer(answer: unknown): unknown {
  if (Array.isArray(answer)) return answer.map(nounAnswer);
  if (typeof answer !== "object" || answer === null || isRawJson(answer)) return answer;
  const kept = Object.entries(answer).filter(([key]) => !isOurs(key, answer));
  return Object.fromEntries(kept.map(([key, value]) => [key, FREE.has(key) ? value : nounAnswer(value)]));
}

/** Reports whether a value is a number with more digits than a double holds. */
const isRawJson = (value: object): boolean =>
  (JSON as unknown as { isRawJSON(value: unknown): boolean }).isRawJSON(value);
