/** Options that loading from a file and from an image have in common. */
import type { Flag } from "../command.ts";

export const PROGRAMS: Flag = {
  long: "programs",
  takes: "list",
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
};

export const GLOBAL: Flag = {
  long: "global",
  short: "g",
  completes: "object-global",
  takes: "list",
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
};

export const APPLICATION: Flag = {
  long: "application",
  short: "a",
  takes: "one",
  doc: [
    "Optional: Application is used to group multiple programs that are loaded together",
    "under the same load command. This actually creates a special <KEY>=<VALUE> in the",
    "metadata parameter. It can be used to filer on list commands.",
    "Example: --application TestEbpfApp",
  ],
};

export const METADATA: Flag = {
  long: "metadata",
  short: "m",
  takes: "commas",
  doc: [
    "Optional: Specify Key/Value metadata to be attached to a program when it",
    "is loaded by bpfman.",
    "Format: <KEY>=<VALUE>",
    "",
    "This can later be used to `list` a certain subset of programs which contain",
    "the specified metadata.",
    "Example: --metadata owner=acme",
  ],
};

export const MAP_OWNER_ID: Flag = {
  long: "map-owner-id",
  takes: "one",
  completes: "program-id",
  doc: [
    "Optional: Program Id of loaded eBPF program this eBPF program will share a map with.",
    "Only used when multiple eBPF programs need to share a map.",
    "Example: --map-owner-id 63178",
  ],
};
