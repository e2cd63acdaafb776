/** Options that several kinds of attachment have in common, and what all of them end with. */
import { DIRECTIONS } from "../../domain/link.ts";
import { ATTACHED_PROGRAM } from "../attached-program.ts";
import type { Action, Flag, Line } from "../command.ts";
import { parseMetadata } from "../parse/metadata.ts";
import { parseOffset, parsePid, parsePriority, parseProgramId } from "../parse/number.ts";
import { parseWord } from "../parse/word.ts";
import { renderLink } from "../render/link.ts";

export const IFACE: Flag = {
  long: "iface",
  short: "i",
  takes: "one",
  required: true,
  completes: "interface",
  doc: ["Required: Interface to load program on."],
};

export const DIRECTION: Flag = {
  long: "direction",
  short: "d",
  takes: "one",
  required: true,
  choices: DIRECTIONS,
  doc: ["Required: Direction to apply program.", "", "[possible values: ingress, egress]"],
};

export const PRIORITY: Flag = {
  long: "priority",
  short: "p",
  takes: "one",
  required: true,
  doc: ["Required: Priority to run program in chain. Lower value runs first.", "[possible values: 1-1000]"],
};

export const NETNS: Flag = {
  long: "netns",
  short: "n",
  takes: "one",
  completes: "netns",
  doc: ["Optional: The file path of the target network namespace.", "Example: -n /var/run/netns/bpfman-test"],
};

export const METADATA: Flag = {
  long: "metadata",
  short: "m",
  takes: "commas",
  doc: [
    "Optional: Specify Key/Value metadata to be attached to a link when it",
    "is loaded by bpfman.",
    "Format: <KEY>=<VALUE>",
    "",
    "This can later be used to list a certain subset of links which contain",
    "the specified metadata.",
    "Example: --metadata owner=acme",
  ],
};

export const readDirection = (line: Line): string =>
  parseWord(line.value(DIRECTION) ?? "", { what: "direction", words: DIRECTIONS, code: "INVALID_ATTACH" });

/** The part of a request that every network hook has. */
export const readNetwork = (line: Line): { iface: string | null; priority: number; netns: string | null } => ({
  iface: line.value(IFACE),
  priority: parsePriority(line.value(PRIORITY) ?? ""),
  netns: line.value(NETNS),
});

/** Bytes; 0 when the option is not given. */
export const readOffset = (line: Line, flag: Flag): number => parseOffset(line.value(flag) ?? "0");

export function readPid(line: Line, flag: Flag): number | null {
  const text = line.value(flag);
  return text === null ? null : parsePid(text);
}

/** Attaches the program of the line to `attach`, a target as the request schema has it. */
export function attaching(line: Line, attach: Readonly<Record<string, unknown>>, readMetadata = parseMetadata): Action {
  const programId = parseProgramId(line.word(ATTACHED_PROGRAM));
  const request = { programId, attach, metadata: readMetadata(line.values(METADATA)) };
  return async (session) => session.print(await session.invoke("link/attach", request), renderLink);
}
