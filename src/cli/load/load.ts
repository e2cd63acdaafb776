import { NOUN_APPLICATION_KEY } from "../../domain/program.ts";
import { asking, defineCommand, ifGiven, required, several, type Values } from "../command.ts";
import { PROGRAM_ID } from "../fields.ts";
import { APPLICATION, METADATA } from "../labels.ts";
import { IMAGE_URL, imageRequest, PULL_POLICY, REGISTRY_AUTH } from "../image/fields.ts";
import { zeroForNone } from "../parse/number.ts";
import {
  gatherGlobals,
  gatherMaps,
  lastOfEach,
  parseGlobal,
  parseMapEntries,
  parseMapSource,
  parseNounGlobal,
} from "../parse/pairs.ts";
import { parseNounSelector, parseSelector, settleType } from "../parse/selector.ts";
import { renderLoad } from "../render/program.ts";

const PROGRAMS = several(
  {
    takes: "list",
    long: "programs",
    required: true,
    completes: "object-program",
    doc: [
      "Required: The program type and eBPF function name that is the entry point",
      "for the eBPF program.",
      "Format <TYPE>:<FUNC_NAME>",
      "",
      "For fentry and fexit, the function that is being attached to is also",
      "required at load time, so the format for fentry and fexit includes attach",
      "function.",
      "Format <TYPE>:<FUNC_NAME>:<ATTACH_FUNC>",
      "",
      "If the bytecode file contains multiple eBPF programs that need to be",
      "loaded, multiple eBPF programs can be entered by separating each",
      "<TYPE>:<FUNC_NAME> pair with a space.",
      "Example: --programs xdp:xdp_stats kprobe:kprobe_counter",
      "Example: --programs fentry:test_fentry:do_unlinkat",
      "",
      "[possible values for <TYPE>: fentry, fexit, kprobe, lsm, tc, tcx, tracepoint,",
      "uprobe, xdp]",
    ],
    noun: {
      takes: "commas",
      doc: [
        "Required: The programs to load, separated by commas or by repeating the option.",
        "Format <TYPE>:<NAME>, or <TYPE>:<NAME>:<ATTACH_FUNC> for fentry, fexit and lsm",
        "Example: --programs xdp:xdp_stats,kprobe:kprobe_counter",
        "",
        "[possible values for <TYPE>: xdp, tc, tcx, tracepoint, kprobe, kretprobe,",
        "uprobe, uretprobe, fentry, fexit, lsm]",
      ],
      parse: parseNounSelector,
    },
  },
  parseSelector,
);

const GLOBAL = several(
  {
    takes: "list",
    long: "global",
    short: "g",
    completes: "object-global",
    doc: [
      "Optional: Global variables to be set when program is loaded.",
      "Format: <NAME>=<Hex Value>",
      "",
      "This is a very low level primitive. The caller is responsible for formatting",
      "the byte string appropriately considering such things as size, endianness,",
      "alignment and packing of data structures. Multiple values can be enter by",
      "separating each <NAME>=<Hex Value> pair with a space.",
      "Example: -g GLOBAL_u8=01 GLOBAL_u32=0A0B0C0D",
    ],
    noun: {
      takes: "commas",
      doc: [
        "Optional: Global variables to be set before the load.",
        "Format: <NAME>=<HEX>, with or without 0x before the digits",
        "",
        "As many bytes as the variable has, in the byte order of the machine.",
        "Example: -g GLOBAL_u8=01 -g GLOBAL_u32=0x0A0B0C0D",
      ],
      parse: parseNounGlobal,
      gather: lastOfEach,
    },
  },
  parseGlobal,
  gatherGlobals,
);

const MAP_OWNER_ID = ifGiven(PROGRAM_ID, {
  long: "map-owner-id",
  doc: [
    "Optional: Program Id of loaded eBPF program this eBPF program will share a map with.",
    "Only used when multiple eBPF programs need to share a map.",
    "Example: --map-owner-id 63178",
  ],
  noun: { parse: zeroForNone(PROGRAM_ID.parse) },
});

const MAP = several(
  {
    takes: "list",
    long: "map",
    completes: "object-map",
    metavar: "NAME=PIN|ID",
    doc: [
      "Optional: Maps that are there already, to be used for maps of the object.",
      "Format: <NAME>=<PIN> or <NAME>=<ID>",
      "",
      "PIN is a path in a BPF file system, whoever pinned it there; ID is the map's id",
      "in the kernel. Type, sizes and flags must agree with the object's definition.",
      "Example: --map conns=/sys/fs/bpf/lb/conns events=42",
    ],
    noun: { takes: "commas" },
  },
  parseMapSource,
  gatherMaps<string | number>,
);

const MAP_ENTRIES = several(
  {
    takes: "list",
    long: "map-entries",
    completes: "object-map",
    metavar: "NAME=N",
    doc: [
      "Optional: How many entries maps of the object are to have.",
      "Format: <NAME>=<N>",
      "",
      "For maps whose size the object leaves to its loader, or to make one larger or",
      "smaller than the object says.",
      "Example: --map-entries flows=65536 events=1048576",
    ],
    noun: { takes: "commas" },
  },
  parseMapEntries,
  gatherMaps<number>,
);

const PATH = required({
  long: "path",
  short: "p",
  completes: "object",
  doc: [
    "Required: Location of local bytecode file",
    "Example: --path /run/bpfman/examples/go-xdp-counter/bpf_x86_bpfel.o",
  ],
  noun: { doc: ["Required: Object file with the programs."] },
});

const LOADED = {
  global: GLOBAL,
  application: APPLICATION,
  metadata: METADATA,
  mapOwnerId: MAP_OWNER_ID,
  map: MAP,
  mapEntries: MAP_ENTRIES,
};

type Loaded = Values<typeof LOADED & { programs: typeof PROGRAMS }>;

function loading(source: Readonly<Record<string, unknown>>, values: Loaded, noun: boolean) {
  const { global: globalData, application, mapOwnerId, map: maps, mapEntries } = values;
  const given = { source, globalData, mapOwnerId, maps, mapEntries };
  if (!noun) {
    const { programs, metadata } = values;
    return asking("program/load", { ...given, programs, metadata, application }, renderLoad);
  }
  const metadata = { ...values.metadata, ...(application === null ? {} : { [NOUN_APPLICATION_KEY]: application }) };
  const programs = values.programs.map((selector) => settleType(selector, metadata));
  return asking("program/load", { ...given, programs, metadata }, renderLoad);
}

export const loadFile = defineCommand({
  fields: { programs: PROGRAMS, path: PATH, ...LOADED },
  classic: {
    examples: [
      {
        does: "Load one program",
        line: "bpfman load file --path bpf_x86_bpfel.o --programs xdp:xdp_stats",
      },
      {
        does: "Load two programs that share their maps, with a global variable set to 10 (little endian)",
        line: "bpfman load file -p counter.o --programs tcx:count tracepoint:on_open -g LIMIT=0A000000 -a counter",
      },
    ],
  },
  noun: {
    words: ["path"],
    examples: [
      { does: "Load one program", line: "bpfman program load file counter.o --programs xdp:xdp_stats" },
      {
        does: "Load two programs that share their maps, with a global variable set to 10 (little endian)",
        line: "bpfman program load counter.o --programs tcx:count,tracepoint:on_open -g LIMIT=0x0A000000 -a counter",
      },
    ],
  },
  prepare: ({ path, ...loaded }, noun) => loading({ file: path }, loaded, noun),
});

export const loadImage = defineCommand({
  fields: { programs: PROGRAMS, url: IMAGE_URL, registryAuth: REGISTRY_AUTH, pullPolicy: PULL_POLICY, ...LOADED },
  classic: {
    examples: [
      {
        does: "Load one program of an image, pulling it unless it is in the cache",
        line: "bpfman load image --image-url quay.io/bpfman-bytecode/xdp_pass:latest --programs xdp:pass",
      },
      {
        does: "Load what was pulled before, without a network",
        line: "bpfman load image -i localhost:5000/counter:v1 -p Never --programs tcx:count tracepoint:on_open -a counter",
      },
    ],
  },
  noun: {
    words: ["url"],
    options: [
      "programs",
      "global",
      "application",
      "metadata",
      "mapOwnerId",
      "map",
      "mapEntries",
      "pullPolicy",
      "registryAuth",
    ],
    examples: [
      {
        does: "Load one program of an image, pulling it unless it is in the cache",
        line: "bpfman program load image quay.io/bpfman-bytecode/xdp_pass:latest --programs xdp:pass",
      },
      {
        does: "Load what was pulled before, without a network",
        line: "bpfman program load image localhost:5000/counter:v1 -p Never --programs tcx:count -a counter",
      },
    ],
  },
  prepare: ({ url, registryAuth, pullPolicy, ...loaded }, noun) =>
    loading({ image: imageRequest({ url, registryAuth, pullPolicy }) }, loaded, noun),
});
