/** Options that say which object files an image is made from. */
import { BYTECODE_SLOTS, PLATFORMS, platformOf, slotOfPlatform } from "../../domain/bytecode-slot.ts";
import { BpfmanError } from "../../errors/error.ts";
import { didYouMean } from "../../errors/suggest.ts";
import { type Argument, type Flag, flagUsage, type Line } from "../command.ts";

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

/** The noun-verb grammar's way to name them. */
export const BYTECODE_WORDS: Argument = {
  name: "bytecode",
  grammar: "noun",
  many: true,
  optional: true,
  completes: "platform-file",
  doc: [
    "Bytecode file for the host's architecture, or several with the platform of each.",
    "Example: linux/amd64=bpf_x86_bpfel.o linux/s390x=bpf_s390_bpfeb.o",
  ],
};

/** `FILE`, or `PLATFORM=FILE...`, in the shape of a request. Throws USAGE. */
function readWords(words: readonly string[]) {
  const mapped = words.flatMap((word) => {
    const [, platform, file] = /^([^=]*\/[^=]*)=(.*)$/s.exec(word) ?? [];
    return platform === undefined || file === undefined ? [] : [{ platform, file }];
  });
  for (const [at, { platform, file }] of mapped.entries()) {
    if (file === "") throw new BpfmanError("USAGE", `the bytecode file for ${platform} is missing`);
    if (slotOfPlatform(platform) === null) {
      const hint = didYouMean(platform, PLATFORMS) ?? `platforms are ${PLATFORMS.join(", ")}`;
      throw new BpfmanError("USAGE", `unknown platform "${platform}"`, { hint });
    }
    if (mapped.findIndex((other) => other.platform === platform) < at) {
      throw new BpfmanError("USAGE", `platform ${platform} is given more than once`);
    }
  }
  if (mapped.length === words.length) return { file: null, project: null, files: mapped };
  const [file = "", second] = words;
  if (second === undefined) return { file, project: null, files: null };
  throw new BpfmanError("USAGE", "several bytecode files need the platform of each", {
    hint: "write linux/ARCHITECTURE=FILE for each: an object file does not say for which architecture it was made",
  });
}

/** The `bytecode` of a request, from options or words. Throws USAGE unless exactly one of the ways is taken. */
export function readBytecode(line: Line, words: readonly string[] = []) {
  const file = line.value(BYTECODE);
  const project = line.value(PROJECT);
  const slots = SLOT_FLAGS.flatMap(({ slot, flag }) => {
    const path = line.value(flag);
    return path === null ? [] : [{ flag, entry: { platform: platformOf(slot), file: path } }];
  });
  const given = [...(file === null ? [] : [BYTECODE]), ...(project === null ? [] : [PROJECT])];
  if (words.length > 0) {
    const option = [...given, ...slots.map(({ flag }) => flag)][0];
    if (option === undefined) return readWords(words);
    throw new BpfmanError("USAGE", `"${flagUsage(option)}" cannot be used with bytecode file "${words[0]}"`);
  }
  const [first, second] = [...given, ...slots.slice(0, 1).map(({ flag }) => flag)];
  if (first === undefined) {
    throw new BpfmanError("USAGE", "no bytecode file was given", {
      hint: `name a file, or linux/ARCHITECTURE=FILE for each platform; or give ${flagUsage(PROJECT)}`,
    });
  }
  if (second !== undefined) {
    throw new BpfmanError("USAGE", `"${flagUsage(first)}" cannot be used with "${flagUsage(second)}"`);
  }
  return { file, project, files: slots.length === 0 ? null : slots.map(({ entry }) => entry) };
}
