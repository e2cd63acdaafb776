/** Resolves a request's object files to a list of files and their platforms. */
import { basename, extname, join } from "node:path";
import {
  BYTECODE_SLOTS,
  type BytecodeSlot,
  platformOf,
  PLATFORMS,
  SINGLE_BUILD_ARG,
  slotOfPlatform,
} from "../../domain/bytecode-slot.ts";
import { BpfmanError } from "../../errors/error.ts";
import type { Bytecode } from "../requests/build-requests.ts";

export interface BytecodeInput {
  /** Null for a single object, which is built for this machine. */
  readonly slot: BytecodeSlot | null;
  readonly buildArg: string;
  /** As the user wrote it. */
  readonly path: string;
}

/** `list` returns the names of the files in a directory. Throws INVALID_BUILD, and whatever `list` throws. */
export function inputsOf(bytecode: Bytecode, list: (directory: string) => readonly string[]): BytecodeInput[] {
  const { file, project, files } = bytecode;
  if (file !== null) return [{ slot: null, buildArg: SINGLE_BUILD_ARG, path: file }];
  if (project !== null) return projectInputs(project, list(project));
  const inputs = (files ?? []).map((each) => inputFor(slotOfPlatform(each.platform) as BytecodeSlot, each.file));
  requireOnePerPlatform(inputs);
  return inputs;
}

const inputFor = (slot: BytecodeSlot, path: string): BytecodeInput => ({ slot, buildArg: slot.buildArg, path });

/** Each object file in a project directory must name its platform, as bpf2go's do. */
function projectInputs(directory: string, names: readonly string[]): BytecodeInput[] {
  const inputs = names
    .filter((name) => extname(name) === ".o")
    .sort()
    .map((name) => inputFor(slotOfName(join(directory, name)), join(directory, name)));
  if (inputs.length === 0) {
    throw new BpfmanError("INVALID_BUILD", `read project "${directory}": there is no object file (*.o) in it`, {
      details: { directory },
      hint: 'generate them with "go generate", or name files one by one',
    });
  }
  requireOnePerPlatform(inputs);
  const place = ({ slot }: BytecodeInput) => BYTECODE_SLOTS.indexOf(slot as BytecodeSlot);
  return inputs.sort((a, b) => place(a) - place(b));
}

/**
 * Returns the slot that a file name stands for: by the word before `bpfel` or `bpfeb`, where bpf2go puts it, else by
 * any word.
 */
function slotOfName(path: string): BytecodeSlot {
  const words = basename(path).toLowerCase().split(/[_.-]/);
  const at = words.findIndex((word) => word === "bpfel" || word === "bpfeb");
  const order = words[at] === "bpfel" ? "little" : "big";
  const slots = BYTECODE_SLOTS.filter((slot) => at >= 0 && slot.byteOrder === order);
  const named = (candidates: readonly string[]) =>
    slots.filter((slot) => slot.fileWords.some((word) => candidates.includes(word)));
  const before = named(words.slice(Math.max(0, at - 1), Math.max(0, at)));
  const found = before.length > 0 ? before : named(words);
  const [slot] = found;
  if (slot !== undefined && found.length === 1) return slot;
  const reason =
    found.length > 1 ? `it names ${found.map(platformOf).join(" and ")}` : "its name does not say the platform";
  throw new BpfmanError("INVALID_BUILD", `unrecognised cilium/ebpf bytecode file "${path}": ${reason}`, {
    details: { path, known: knownNames() },
    hint: `names end in one of ${knownNames().join(", ")}`,
  });
}

/** Returns names like `x86_bpfel.o`, one per slot. */
const knownNames = (): string[] =>
  BYTECODE_SLOTS.map((slot) => `${slot.fileWords[0]}_bpf${slot.byteOrder === "little" ? "el" : "eb"}.o`);

function requireOnePerPlatform(inputs: readonly BytecodeInput[]): void {
  for (const platform of PLATFORMS) {
    const files = inputs.filter(({ slot }) => slot !== null && platformOf(slot) === platform).map(({ path }) => path);
    if (files.length > 1) {
      throw new BpfmanError(
        "INVALID_BUILD",
        `choose the object for ${platform}: there are "${files.join('" and "')}"`,
        {
          details: { platform, files },
          hint: "an image holds one object for each platform; name the files one by one",
        },
      );
    }
  }
}
