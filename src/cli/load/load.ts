import type { LoadAnswer } from "../../domain/answer.ts";
import { ATTACHABLE_TYPES, factsOf, PROGRAM_TYPES } from "../../domain/kinds.ts";
import { APPLICATION_KEY, NOUN_APPLICATION_KEY } from "../../domain/program.ts";
import { type Action, asking, defineCommand, ifGiven, required, several, toggle, type Values } from "../command.ts";
import { PROGRAM_ID, QUIET } from "../fields.ts";
import { APPLICATION, METADATA } from "../labels.ts";
import { IMAGE_URL, imageRequest, PULL_POLICY, REGISTRY_AUTH } from "../image/fields.ts";
import { zeroForNone } from "../parse/word.ts";
import {
  gatherGlobals,
  gatherMaps,
  gatherMetadata,
  lastOfEach,
  parseGlobal,
  parseMapEntries,
  parseMapSource,
  parseNounGlobal,
  parseNounSelector,
  parseSelector,
  parseSetGlobal,
  settleType,
} from "../parse/pairs.ts";
import { renderLoad } from "../render/program.ts";

const TYPES = [
  'TYPE can be left out where the program\'s section says it, as SEC("xdp") does.',
  "So can FUNCTION, to which some types are bound when they are loaded:",
  'SEC("fentry/do_unlinkat"). The name "all" stands for every program.',
  "For freplace, FUNCTION is PROGRAM/FUNCTION: one of a program that is loaded,",
  'named by its ID or name. PROGRAM alone will do with SEC("freplace/FUNCTION").',
  "",
  "Types of programs to attach:",
  ATTACHABLE_TYPES.join(", "),
  "",
  "Types of programs that are loaded and pinned, for others to run:",
  PROGRAM_TYPES.filter((type) => factsOf(type).attachKind === null).join(", "),
];

export const PROGRAMS = several(
  {
    takes: "list",
    long: "programs",
    required: true,
    completes: "object-program",
    doc: [
      "Programs to load, by the names of their functions.",
      "Separate several programs with spaces.",
      "Format: <NAME>, <TYPE>:<NAME> or <TYPE>:<NAME>:<FUNCTION>",
      "",
      "Example: --programs xdp_stats kprobe:kprobe_counter",
      "Example: --programs fentry:test_fentry:do_unlinkat",
      "",
      ...TYPES,
    ],
    noun: {
      takes: "commas",
      doc: [
        "Programs to load, by the names of their functions.",
        "Separate several programs with commas, or repeat the option.",
        "Format: <NAME>, <TYPE>:<NAME> or <TYPE>:<NAME>:<FUNCTION>",
        "Example: --programs xdp_stats,kprobe:kprobe_counter",
        "",
        ...TYPES,
      ],
      parse: parseNounSelector,
    },
  },
  parseSelector,
);

export const GLOBAL = several(
  {
    takes: "list",
    long: "global",
    short: "g",
    completes: "object-global",
    doc: [
      "Global variables to set before the programs are loaded.",
      "Separate several variables with spaces.",
      "Format: <NAME>=<HEX>",
      "",
      "The bytes go into the variable as they are written: as many as it has,",
      "in the machine's byte order, with the padding that the compiler adds.",
      "Example: -g GLOBAL_u8=01 GLOBAL_u32=0A0B0C0D",
    ],
    noun: {
      takes: "commas",
      doc: [
        "Global variables to set before the programs are loaded.",
        "Separate several variables with commas, or repeat the option.",
        "Format: <NAME>=<HEX>, with or without a leading 0x",
        "",
        "Give as many bytes as the variable has, in the machine's byte order.",
        "Example: -g GLOBAL_u8=01 -g GLOBAL_u32=0x0A0B0C0D",
      ],
      parse: parseNounGlobal,
      gather: lastOfEach,
    },
  },
  parseGlobal,
  gatherGlobals,
);

export const SET = several(
  {
    takes: "list",
    long: "set",
    completes: "object-global",
    metavar: "NAME=VALUE",
    doc: [
      "Optional: Values of global variables, by their types.",
      "Format: <NAME>=<VALUE>",
      "",
      "VALUE is JSON, or a plain word: a number, the name of an enumerator, text for an",
      "array of char. Structs and arrays are JSON; members left out keep their values.",
      "Example: --set LIMIT=10 IFACE=eth0 --set 'PORTS=[53,853]'",
    ],
    noun: { takes: "each", gather: lastOfEach },
  },
  parseSetGlobal,
  gatherGlobals,
);

const MAP_OWNER_ID = ifGiven(PROGRAM_ID, {
  long: "map-owner-id",
  doc: ["Share the maps of this loaded program, given by its ID or name.", "Example: --map-owner-id 63178"],
  noun: { parse: zeroForNone(PROGRAM_ID.parse) },
});

const MAP = several(
  {
    takes: "list",
    long: "map",
    completes: "object-map",
    metavar: "NAME=PIN|ID",
    doc: [
      "Optional: Existing maps to use in place of the object's own.",
      "Format: <NAME>=<PIN> or <NAME>=<ID>",
      "",
      "PIN is a path in a BPF file system, whoever made the pin; ID is the map's ID in",
      "the kernel. Type, sizes and flags must match the object's definition.",
      "Example: --map conns=/sys/fs/bpf/lb/conns events=42",
    ],
    noun: { takes: "commas" },
  },
  parseMapSource,
  gatherMaps,
);

export const MAP_ENTRIES = several(
  {
    takes: "list",
    long: "map-entries",
    completes: "object-map",
    metavar: "NAME=N",
    doc: [
      "Optional: Number of entries in maps of the object.",
      "Format: <NAME>=<N>",
      "",
      "Needed for maps whose size the object leaves to its loader. Can also make a map",
      "larger or smaller than the object defines it.",
      "Example: --map-entries flows=65536 events=1048576",
    ],
    noun: { takes: "commas" },
  },
  parseMapEntries,
  gatherMaps,
);

export const PATH = required({
  long: "path",
  short: "p",
  completes: "object",
  doc: ["Object file that contains the programs.", "Example: --path ./bpf_x86_bpfel.o"],
  noun: { doc: ["Object file that contains the programs."] },
});

const KEEP = toggle({
  long: "keep",
  doc: ["Load it again after a reboot, with its links, if bpfman-restore.service runs."],
});

export const LOADED = {
  set: SET,
  global: GLOBAL,
  application: APPLICATION,
  metadata: METADATA,
  mapOwnerId: MAP_OWNER_ID,
  map: MAP,
  mapEntries: MAP_ENTRIES,
  keep: KEEP,
  quiet: QUIET,
};

const idsOf = ({ programs }: LoadAnswer): readonly number[] =>
  programs.flatMap(({ record }) => record?.program_id ?? []);

type Loaded = Values<typeof LOADED & { programs: typeof PROGRAMS }>;

/** The request that loads these programs. */
export function loadRequest(source: Readonly<Record<string, unknown>>, values: Loaded, noun: boolean) {
  const { global: globalData, set: globals, application, mapOwnerId, map: maps, mapEntries, keep } = values;
  const given = { source, globalData, globals, mapOwnerId, maps, mapEntries, ...(keep ? { keep } : {}) };
  if (!noun) {
    const { programs, metadata } = values;
    // The option sets one key of the metadata. Two different values are an error, as for any key given twice.
    if (application !== null) gatherMetadata([...Object.entries(metadata), [APPLICATION_KEY, application]]);
    return { ...given, programs, metadata, application };
  }
  const metadata = { ...values.metadata, ...(application === null ? {} : { [NOUN_APPLICATION_KEY]: application }) };
  const programs = values.programs.map((selector) => settleType(selector, metadata));
  return { ...given, programs, metadata };
}

const loading = (source: Readonly<Record<string, unknown>>, values: Loaded, noun: boolean): Action =>
  asking("program/load", loadRequest(source, values, noun), renderLoad, values.quiet ? idsOf : null);

export const loadFile = defineCommand(() => ({
  fields: { programs: PROGRAMS, path: PATH, ...LOADED },
  examples: {
    "Load one program": [
      "bpfman load file --path bpf_x86_bpfel.o --programs xdp:xdp_stats",
      "bpfman program load file counter.o --programs xdp:xdp_stats",
    ],
    "Load every program of an object": [
      "bpfman load file --path counter.o --programs all",
      "bpfman program load counter.o --programs all",
    ],
    "Load two programs that share maps, with a global variable set to 10": [
      "bpfman load file -p counter.o --programs tcx:count tracepoint:on_open --set LIMIT=10 -a counter",
      "bpfman program load counter.o --programs tcx:count,tracepoint:on_open --set LIMIT=10 -a counter",
    ],
    "Print only the ID of the program, for scripts": [
      "bpfman load file -q -p counter.o --programs tcx:count",
      "bpfman program load -q counter.o --programs tcx:count",
    ],
    "Set the global variable by its bytes (little-endian)": [
      "bpfman load file -p counter.o --programs tcx:count tracepoint:on_open -g LIMIT=0A000000 -a counter",
      "bpfman program load counter.o --programs tcx:count,tracepoint:on_open -g LIMIT=0x0A000000 -a counter",
    ],
  },
  noun: { words: ["path"] },
  prepare: ({ path, ...loaded }, noun) => loading({ file: path }, loaded, noun),
}));

export const loadImage = defineCommand(() => ({
  fields: { programs: PROGRAMS, url: IMAGE_URL, registryAuth: REGISTRY_AUTH, pullPolicy: PULL_POLICY, ...LOADED },
  examples: {
    "Load one program of an image, which is pulled unless it is cached": [
      "bpfman load image --image-url quay.io/bpfman-bytecode/xdp_pass:latest --programs xdp:pass",
      "bpfman program load image quay.io/bpfman-bytecode/xdp_pass:latest --programs xdp:pass",
    ],
    "Load an image pulled earlier, without network access": [
      "bpfman load image -i localhost:5000/counter:v1 -p Never --programs tcx:count tracepoint:on_open -a counter",
      "bpfman program load image localhost:5000/counter:v1 -p Never --programs tcx:count -a counter",
    ],
  },
  noun: {
    words: ["url"],
    options: ["programs", ...(Object.keys(LOADED) as (keyof typeof LOADED)[]), "pullPolicy", "registryAuth"],
  },
  prepare: ({ url, registryAuth, pullPolicy, ...loaded }, noun) =>
    loading({ image: imageRequest({ url, registryAuth, pullPolicy }) }, loaded, noun),
}));
