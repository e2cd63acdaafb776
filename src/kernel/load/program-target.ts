/** Targets of extensions: functions of programs that are loaded. */
import type { BpfProgram } from "../../../ffi/safe/bpf-object.ts";
import { closeFd } from "../../../ffi/safe/libc.ts";
import { programInfo } from "../../../ffi/safe/object-info.ts";
import { BpfmanError, type SysFailure } from "../../errors/error.ts";
import { whatThereIs } from "../../errors/suggest.ts";
import { sysFailure } from "../../errors/sys-failure.ts";
import type { ProgramToVerify } from "../../platform/kernel.ts";
import { globalFunctions } from "../explain/kernel-btf.ts";
import { openOwnFd } from "../pin.ts";
import { readBtf } from "../read-info.ts";

/**
 * Sets the function of another program that this one is verified against. Returns the descriptor of the other program, which
 * has to stay open until this one is loaded: libbpf only keeps its number. Throws SYMBOL_NOT_FOUND, INVALID_PROGRAM,
 * STATE_CONFLICT.
 */
export function openTarget(program: BpfProgram, { name, target, attachFunction }: ProgramToVerify): number {
  const action = `load program "${name}"`;
  if (target === undefined || attachFunction === null) {
    throw new BpfmanError(
      "INVALID_PROGRAM",
      `${action}: it replaces a function of another program, which is not named`,
      {
        details: { program: name },
        hint: `name it as well: freplace:${name}:PROGRAM/FUNCTION`,
      },
    );
  }
  const fd = openOwnFd(target);
  if (fd === null) {
    throw new BpfmanError("STATE_CONFLICT", `${action}: no program is pinned at "${target.path}"`, {
      details: { program: name, pin: target.path },
    });
  }
  try {
    program.setAttachTarget({ programFd: fd, function: attachFunction });
    return fd;
  } catch (thrown) {
    const sys = sysFailure(thrown);
    const { btfId } = programInfo(fd);
    closeFd(fd);
    if (sys === null) throw thrown;
    throw refusal(sys, { action, btfId, program: name, target: target.id, fnName: attachFunction });
  }
}

interface Wanted {
  readonly action: string;
  /** Of the target; 0 if it has none. */
  readonly btfId: number;
  readonly program: string;
  readonly target: number;
  readonly fnName: string;
}

function refusal(sys: SysFailure, { action, btfId, program, target, fnName }: Wanted): BpfmanError {
  const details = { program, target_program_id: target, function: fnName };
  if (btfId === 0) {
    return new BpfmanError(
      "INVALID_PROGRAM",
      `${action}: program ${target} has no BTF, which would say what its functions are`,
      { details, hint: "compile that program with clang -g, and load it again", sys },
    );
  }
  const names = globalFunctions(readBtf(btfId) ?? new Uint8Array());
  return new BpfmanError("SYMBOL_NOT_FOUND", `${action}: program ${target} has no function "${fnName}"`, {
    details,
    hint: whatThereIs(fnName, names, { there: "it has", none: "only functions that are not static can be replaced" }),
    sys,
  });
}
