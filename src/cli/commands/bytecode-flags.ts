/** Options that say which object files an image is made from. */
import { BYTECODE_SLOTS, platformOf } from "../../domain/bytecode-slot.ts";
import { BpfmanError } from "../../errors/error.ts";
import { type Flag, flagUsage, type Line } from "../command.ts";

const BYTECODE: Flag = {
  long: "bytecode",
  short: "b",
  takes: "one",
  completes: "file",
  doc: [
    "Optional: bytecode file to use for building the image assuming host architecture.",
    "Example: -b ./examples/go-xdp-counter/bpf_x86_bpfel.o",
  ],
};

const PROJECT: Flag = {
  long: "cilium-ebpf-project",
  short: "c",
  takes: "one",
  completes: "directory",
  doc: [
    "Optional: If specified pull multi-arch bytecode files from a cilium/ebpf formatted project",
    "where the bytecode files all contain a standard bpf_<GOARCH>_<(el/eb)>.o tag.",
    "Example: --cilium-ebpf-project ./examples/go-xdp-counter",
  ],
};

const SLOT_FLAGS = BYTECODE_SLOTS.map((slot) => {
  const order = slot.byteOrder === "little" ? "el" : "eb";
  const flag: Flag = {
    long: `bc-${slot.architecture}-${order}`,
    takes: "one",
    completes: "file",
    doc: [
      `Optional: bytecode file to use for building the image assuming ${slot.architecture} architecture.`,
      `Example: --bc-${slot.architecture}-${order} ./examples/go-xdp-counter/bpf_${slot.fileWords[0]}_bpf${order}.o`,
    ],
  };
  return { slot, flag };
});

export const BYTECODE_FLAGS: readonly Flag[] = [BYTECODE, PROJECT, ...SLOT_FLAGS.map(({ flag }) => flag)];

/** The `bytecode` of a request. Throws USAGE unless exactly one of the three ways is taken. */
export function readBytecode(line: Line) {
  const file = line.value(BYTECODE);
  const project = line.value(PROJECT);
  const slots = SLOT_FLAGS.flatMap(({ slot, flag }) => {
    const path = line.value(flag);
    return path === null ? [] : [{ flag, entry: { platform: platformOf(slot), file: path } }];
  });
  const given = [...(file === null ? [] : [BYTECODE]), ...(project === null ? [] : [PROJECT])];
  const [first, second] = [...given, ...slots.slice(0, 1).map(({ flag }) => flag)];
  if (first === undefined) {
    throw new BpfmanError("USAGE", "no bytecode file was given", {
      hint: `give ${flagUsage(BYTECODE)}, ${flagUsage(PROJECT)}, or one file for each platform, as with --bc-amd64-el`,
    });
  }
  if (second !== undefined) {
    throw new BpfmanError("USAGE", `"${flagUsage(first)}" cannot be used with "${flagUsage(second)}"`);
  }
  return { file, project, files: slots.length === 0 ? null : slots.map(({ entry }) => entry) };
}
