/** What freplace programs replace: functions of programs that bpfman has loaded. */
import { programId } from "../../domain/ids.ts";
import { programPin } from "../../domain/pin.ts";
import { partReplaced, type ProgramSpec } from "../../domain/program.ts";
import { BpfmanError } from "../../errors/error.ts";
import type { Host } from "../../platform/host.ts";
import type { ProgramToLoad } from "../../platform/kernel.ts";
import type { Context } from "../operation.ts";
import { programIdOf, requireProgram } from "../require-record.ts";

/** Returns the program with its target as an ID. Throws PROGRAM_NOT_FOUND, PROGRAM_AMBIGUOUS, PROGRAM_NOT_MANAGED. */
export function withTargetId(host: Host, spec: ProgramSpec, context: Context): ProgramSpec {
  const { program: named, fnName } = partReplaced(spec.attachFunction ?? "");
  const target = requireProgram(host, programIdOf(host, named, context));
  if (target.type === "freplace") {
    throw new BpfmanError(
      "INVALID_PROGRAM",
      `program ${target.id} is an freplace program itself, and the kernel replaces no functions of those`,
      { details: { program: spec.name, target_program_id: target.id }, hint: "name another program, of another type" },
    );
  }
  return { ...spec, attachFunction: `${target.id}/${fnName}` };
}

/** Returns it as the kernel is to load it. */
export function toReplace(host: Host, spec: ProgramSpec): ProgramToLoad {
  const { program, fnName } = partReplaced(spec.attachFunction ?? "");
  const id = programId(Number(program));
  return { ...spec, attachFunction: fnName, target: programPin(requireProgram(host, id).pinPath, id) };
}

/** Names what is missing, if that is why the kernel refused to load a program that replaces another's function. */
export async function explained(host: Host, refusal: BpfmanError): Promise<BpfmanError> {
  if (!["KERNEL_REFUSED", "LOAD_FAILED", "VERIFIER_REJECTED"].includes(refusal.code)) return refusal;
  const { available, reason } = await host.kernel.feature("ext");
  if (available) return refusal;
  return new BpfmanError(
    "KERNEL_UNSUPPORTED",
    `load freplace: this kernel has no extension programs (BPF_PROG_TYPE_EXT${reason === null ? "" : `: ${reason}`})`,
    {
      details: refusal.details,
      hint: "they need Linux 5.10 with CONFIG_BPF_JIT and CONFIG_DEBUG_INFO_BTF, and an architecture with BPF trampolines",
      cause: refusal,
      ...(refusal.sys === null ? {} : { sys: refusal.sys }),
    },
  );
}
