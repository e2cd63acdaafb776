import { ATTACH_TYPE, BTF_LOAD_ATTR, PROG_LOAD_ATTR, PROG_TYPE } from "../layout/generated.ts";
import { encode } from "../layout/struct.ts";
import { addressOf, copyOf, cString, keepAlive } from "../memory.ts";
import { bpf } from "./bpf.ts";

/** Size of struct bpf_insn, bytes. */
const INSTRUCTION_BYTES = 8;
/** Size of struct bpf_func_info, bytes. */
const FUNCTION_INFO_BYTES = 8;

/** A program given as instructions, loaded without an object file or libbpf. */
export interface ProgramToLoad {
  readonly type: keyof typeof PROG_TYPE;
  readonly expectedAttachType?: keyof typeof ATTACH_TYPE;
  /** struct bpf_insn[], 8 bytes each. */
  readonly instructions: Uint8Array;
  /**
   * Tells the verifier where the program's functions begin: struct bpf_func_info[] referring to the BTF behind `fd`.
   */
  readonly functions?: { readonly btf: number; readonly info: Uint8Array };
  /** The target function, by its ID in the BTF of a program, or in the kernel's if null. */
  readonly attachTo?: { readonly programFd: number | null; readonly btfId: number };
}

/** BPF_PROG_LOAD with licence GPL and without a verifier log. Returns the file descriptor. Throws SysError. */
export function loadProgram(program: ProgramToLoad): number {
  const { functions, attachTo } = program;
  const instructions = copyOf(program.instructions);
  const license = cString("GPL");
  const info = copyOf(functions?.info ?? new Uint8Array());
  const attr = encode(PROG_LOAD_ATTR, {
    prog_type: PROG_TYPE[program.type],
    expected_attach_type: program.expectedAttachType === undefined ? 0 : ATTACH_TYPE[program.expectedAttachType],
    insn_cnt: program.instructions.length / INSTRUCTION_BYTES,
    insns: addressOf(instructions),
    license: addressOf(license),
    ...(functions !== undefined && {
      prog_btf_fd: functions.btf,
      func_info_rec_size: FUNCTION_INFO_BYTES,
      func_info: addressOf(info),
      func_info_cnt: functions.info.length / FUNCTION_INFO_BYTES,
    }),
    attach_btf_id: attachTo?.btfId ?? 0,
    attach_prog_fd: attachTo?.programFd ?? 0,
  });
  const fd = bpf("PROG_LOAD", attr);
  keepAlive(instructions, license, info);
  return fd;
}

/** BPF_BTF_LOAD. Returns the file descriptor. Throws SysError. */
export function loadBtf(bytes: Uint8Array): number {
  const btf = copyOf(bytes);
  const fd = bpf("BTF_LOAD", encode(BTF_LOAD_ATTR, { btf: addressOf(btf), btf_size: bytes.length }));
  keepAlive(btf);
  return fd;
}
