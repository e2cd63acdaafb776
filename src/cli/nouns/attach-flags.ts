/** What the attach commands of the noun-verb grammar have in common: places are words, the rest are options. */
import { DIRECTIONS } from "../../domain/link.ts";
import type { Action, Argument, Flag, Line } from "../command.ts";
import { attaching as classicAttaching } from "../commands/attach-flags.ts";
import { parseWidePriority } from "../parse/number.ts";
import { parseAnyCase } from "../parse/word.ts";
import { parseNounMetadata } from "./parse-metadata.ts";

export const IFACE: Argument = {
  name: "iface",
  doc: ["Required: Interface to attach to."],
  completes: "interface",
};
export const DIRECTION: Argument = {
  name: "direction",
  choices: DIRECTIONS,
  doc: ["Required: Direction of the packets.", "", "[possible values: ingress, egress]"],
};
export const PRIORITY: Flag = {
  long: "priority",
  short: "p",
  takes: "one",
  required: true,
  doc: ["Required: Place in the chain. Lower value runs first.", "[possible values: 0-2147483647]"],
};

/** As in the classic grammar, but for what metadata may look like. */
export const attaching = (line: Line, attach: Readonly<Record<string, unknown>>): Action =>
  classicAttaching(line, attach, parseNounMetadata);

/** The part of a request that every network hook has. */
export const readNetwork = (line: Line, netns: Flag): { iface: string; priority: number; netns: string | null } => ({
  iface: line.word(IFACE),
  priority: parseWidePriority(line.value(PRIORITY) ?? ""),
  netns: line.value(netns),
});

export const readDirection = (line: Line): string =>
  parseAnyCase(line.word(DIRECTION), { what: "direction", words: DIRECTIONS, code: "INVALID_ATTACH" });

/** The option that says after which return values the chain goes on. */
export const proceedOn = (actions: readonly string[], example: string, usual: readonly string[]): Flag => ({
  long: "proceed-on",
  takes: "commas",
  choices: actions,
  doc: [
    "Optional: Go on to the next program of the chain after these return values.",
    `Example: --proceed-on ${example}`,
    "",
    `[default: ${usual.join(", ")}]`,
  ],
});

/** The words of that option, or the usual ones. */
export function readProceedOn(line: Line, flag: Flag, usual: readonly string[]): readonly string[] {
  const words = line.values(flag);
  if (words.length === 0) return usual;
  return words.map((word) =>
    parseAnyCase(word, { what: "proceed-on", words: flag.choices ?? [], code: "INVALID_ATTACH" }),
  );
}
