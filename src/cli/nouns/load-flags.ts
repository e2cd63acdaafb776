/** Options that loading from a file and from an image have in common in the noun-verb grammar. */
import { type Metadata, NOUN_APPLICATION_KEY, type ProgramSelector } from "../../domain/program.ts";
import type { Flag, Line } from "../command.ts";
import { MAP_OWNER_ID, METADATA } from "../commands/load-flags.ts";
import { parseNounGlobals } from "../parse/global.ts";
import { parseProgramId } from "../parse/number.ts";
import { parseNounMetadata } from "./parse-metadata.ts";
import { parseNounSelector } from "./parse-selector.ts";

const PROGRAMS: Flag = {
  long: "programs",
  takes: "commas",
  required: true,
  completes: "object-program",
  doc: [
    "Required: The programs to load, separated by commas or by repeating the option.",
    "Format <TYPE>:<NAME>, or <TYPE>:<NAME>:<ATTACH_FUNC> for fentry, fexit and lsm",
    "Example: --programs xdp:xdp_stats,kprobe:kprobe_counter",
    "",
    "[possible values for <TYPE>: xdp, tc, tcx, tracepoint, kprobe, kretprobe,",
    "uprobe, uretprobe, fentry, fexit, lsm]",
  ],
};
const GLOBAL: Flag = {
  long: "global",
  short: "g",
  completes: "object-global",
  takes: "commas",
  doc: [
    "Optional: Global variables to be set before the load.",
    "Format: <NAME>=<HEX>, with or without 0x before the digits",
    "",
    "As many bytes as the variable has, in the byte order of the machine.",
    "Example: -g GLOBAL_u8=01 -g GLOBAL_u32=0x0A0B0C0D",
  ],
};
const APPLICATION: Flag = {
  long: "application",
  short: "a",
  takes: "one",
  doc: [
    "Optional: Application that the programs belong to.",
    "It is kept as metadata bpfman.io/application; links inherit it, lists filter by it.",
  ],
};

export const LOAD_FLAGS: readonly Flag[] = [PROGRAMS, GLOBAL, APPLICATION, METADATA, MAP_OWNER_ID];

interface LoadParts {
  readonly programs: readonly ProgramSelector[];
  readonly globalData: Readonly<Record<string, string>>;
  readonly metadata: Metadata;
  readonly mapOwnerId: number | null;
}

/** Everything of a load request but its source. */
export function readLoadFlags(line: Line): LoadParts {
  const application = line.value(APPLICATION);
  const owner = line.value(MAP_OWNER_ID);
  const pairs = application === null ? [] : [`${NOUN_APPLICATION_KEY}=${application}`];
  const metadata = parseNounMetadata([...line.values(METADATA), ...pairs]);
  return {
    programs: line.values(PROGRAMS).map((text) => parseNounSelector(text, metadata)),
    globalData: parseNounGlobals(line.values(GLOBAL)),
    metadata,
    // 0 is how newer bpfman writes "none".
    mapOwnerId: owner === null || owner === "0" ? null : parseProgramId(owner),
  };
}
