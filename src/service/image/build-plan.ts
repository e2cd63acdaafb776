/** Validates the inputs of an image: the object files, their platforms, and their labels. */
import { platformOf } from "../../domain/bytecode-slot.ts";
import { type BytecodeLabels, mapTypeLabel } from "../../domain/image-labels.ts";
import { OBJECT_BYTES_MAX } from "../../domain/limits.ts";
import type { LogPort } from "../../domain/log.ts";
import type { ObjectFile } from "../../domain/object-file.ts";
import { BpfmanError } from "../../errors/error.ts";
import { readNamedObject } from "../read-object.ts";
import type { FilesPort } from "../../platform/files.ts";
import type { Bytecode } from "../requests/build-requests.ts";
import { type BytecodeInput, inputsOf } from "./inputs.ts";

export interface PlannedObject extends BytecodeInput {
  readonly bytes: Uint8Array;
  readonly labels: BytecodeLabels;
}

/** The objects of an image in order, at least one. */
export type Plan = readonly [PlannedObject, ...PlannedObject[]];

type Files = Pick<FilesPort, "readObject" | "listDirectory">;

/** Reads and validates all inputs. Throws INVALID_BUILD, INVALID_OBJECT, FILE_NOT_FOUND, FILE_UNREADABLE. */
export function planOf(bytecode: Bytecode, files: Files): Plan {
  const [first, ...others] = inputsOf(bytecode, files.listDirectory).map((input) => planned(input, files));
  return [first as PlannedObject, ...others];
}

function planned(input: BytecodeInput, files: Files): PlannedObject {
  const { path, slot } = input;
  const { bytes, object } = opened(input, files);
  if (slot !== null && object.byteOrder !== slot.byteOrder) throw wrongByteOrder(input, object);
  const labels = labelsOf(object);
  if (Object.keys(labels.programs).length === 0) {
    throw new BpfmanError("INVALID_BUILD", `check "${path}": it has no program of a type that bpfman loads`, {
      details: { path, sections: object.programs.map((program) => program.section) },
      hint: 'the section says the type, as in SEC("xdp") or SEC("tracepoint/sched/sched_switch")',
    });
  }
  return { ...input, bytes, labels };
}

/** Scripts look for the words before the reason. */
function opened({ path, slot }: BytecodeInput, files: Files): { bytes: Uint8Array; object: ObjectFile } {
  try {
    const bytes = files.readObject(path, OBJECT_BYTES_MAX);
    return { bytes, object: readNamedObject({ bytes, path }, { nativeByteOrderOnly: slot === null }) };
  } catch (cause) {
    if (!(cause instanceof BpfmanError)) throw cause;
    throw cause.with({ message: `open bytecode ELF: ${cause.message}` });
  }
}

/** Byte orders as named in elf.h. */
const ELF_DATA = { little: "ELFDATA2LSB", big: "ELFDATA2MSB" } as const;

function wrongByteOrder({ path, slot }: BytecodeInput, object: ObjectFile): BpfmanError {
  const wanted = slot?.byteOrder ?? "little";
  const platform = slot === null ? "" : ` for ${platformOf(slot)}`;
  return new BpfmanError(
    "INVALID_BUILD",
    `check "${path}"${platform}: it is ${object.byteOrder}-endian (${ELF_DATA[object.byteOrder]}), expected ${ELF_DATA[wanted]}`,
    {
      details: { path, byte_order: object.byteOrder, expected: wanted },
      hint: `compile with clang -target bpf${wanted === "little" ? "el" : "eb"}`,
    },
  );
}

/** Returns the programs of types that bpfman manages, and the declared maps, without those of global variables. */
export function labelsOf(object: ObjectFile): BytecodeLabels {
  const programs = object.programs.flatMap(({ name, kind }): [string, string][] =>
    kind === null ? [] : [[name, kind]],
  );
  const maps = object.maps.map(({ name, type }): [string, string] => [name, mapTypeLabel(type)]);
  return { programs: sorted(programs), maps: sorted(maps) };
}

/** Sorted by code unit, like other tools that sort JSON keys. */
const sorted = (pairs: readonly [string, string][]): Record<string, string> =>
  Object.fromEntries([...pairs].sort(([a], [b]) => (a < b ? -1 : 1)));

/** Returns `NAME=PATH` for each object, then PROGRAMS and MAPS of the first. `pathOf` converts a path for the build. */
export function buildArgsOf(plan: Plan, pathOf = (path: string) => path): Record<string, string> {
  return {
    ...Object.fromEntries(plan.map(({ buildArg, path }) => [buildArg, pathOf(path)])),
    PROGRAMS: JSON.stringify(plan[0].labels.programs),
    MAPS: JSON.stringify(plan[0].labels.maps),
  };
}

export const platformsOf = (plan: Plan): string[] =>
  plan.flatMap(({ slot }) => (slot === null ? [] : platformOf(slot)));

/** Warns if the objects differ, since one PROGRAMS and one MAPS label apply to all platforms of a Containerfile. */
export function warnOfDifferences(plan: Plan, log: LogPort): void {
  const [first, ...others] = plan;
  for (const { path, labels } of others) {
    for (const kind of ["programs", "maps"] as const) {
      if (JSON.stringify(labels[kind]) === JSON.stringify(first.labels[kind])) continue;
      log.warn(`the labels will not fit every platform: "${path}" has other ${kind} than "${first.path}"`, {
        labelled: JSON.stringify(first.labels[kind]),
        instead_of: JSON.stringify(labels[kind]),
      });
    }
  }
}
