/** Counts the instructions of a BPF program that run for one packet, by running them here. */

/** What the program reads besides its stack: the value of its only map, and what each call of a function returns. */
export interface Surroundings {
  readonly rodata: Uint8Array;
  readonly returned: bigint;
}

const INSTRUCTION = 8;
const STACK = 512;
/** Where memory is for the program, far from each other. */
const AT = { rodata: 1n << 40n, stackEnd: 2n << 40n } as const;

/** Classes of instructions (include/uapi/linux/bpf_common.h, bpf.h). */
const CLASS = { ld: 0, ldx: 1, st: 2, stx: 3, alu: 4, jmp: 5, jmp32: 6, alu64: 7 } as const;
const WIDTH: Readonly<Record<number, number>> = { 0: 4, 8: 2, 16: 1, 24: 8 };

const signed = (value: bigint, bits: number): bigint => BigInt.asIntN(bits, value);
const unsigned = (value: bigint, bits: number): bigint => BigInt.asUintN(bits, value);

type Calculate = (a: bigint, b: bigint, bits: number) => bigint;
const shifted = (b: bigint, bits: number): bigint => b & BigInt(bits - 1);
const ALU: Readonly<Record<number, Calculate>> = {
  0: (a, b) => a + b,
  16: (a, b) => a - b,
  64: (a, b) => a | b,
  80: (a, b) => a & b,
  96: (a, b, bits) => a << shifted(b, bits),
  112: (a, b, bits) => a >> shifted(b, bits),
  160: (a, b) => a ^ b,
  176: (_, b) => b,
  192: (a, b, bits) => signed(a, bits) >> shifted(b, bits),
};
const JUMPS: Readonly<Record<number, (a: bigint, b: bigint, bits: number) => boolean>> = {
  0: () => true,
  16: (a, b) => a === b,
  32: (a, b) => a > b,
  48: (a, b) => a >= b,
  64: (a, b) => (a & b) !== 0n,
  80: (a, b) => a !== b,
  96: (a, b, bits) => signed(a, bits) > signed(b, bits),
  112: (a, b, bits) => signed(a, bits) >= signed(b, bits),
  160: (a, b) => a < b,
  176: (a, b) => a <= b,
  192: (a, b, bits) => signed(a, bits) < signed(b, bits),
  208: (a, b, bits) => signed(a, bits) <= signed(b, bits),
};

/**
 * Runs the main function of a program as the kernel has it after verification (`bpftool prog dump xlated … file`). Returns how
 * many instructions ran, with calls as one, and what it returned. Throws on an instruction that dispatchers do not have.
 */
export function execute(program: Uint8Array, { rodata, returned }: Surroundings): { count: number; verdict: bigint } {
  const code = new DataView(program.buffer, program.byteOffset, program.byteLength);
  const stack = new DataView(new ArrayBuffer(STACK));
  const constants = new DataView(rodata.buffer, rodata.byteOffset, rodata.byteLength);
  const registers: bigint[] = Array.from({ length: 11 }, () => 0n);
  registers[10] = AT.stackEnd;
  const place = (address: bigint): readonly [DataView, number] => {
    const onStack = address - AT.stackEnd + BigInt(STACK);
    if (onStack >= 0n && onStack < BigInt(STACK)) return [stack, Number(onStack)];
    return [constants, Number(address - AT.rodata)];
  };
  const load = (address: bigint, width: number): bigint => {
    const [view, at] = place(address);
    if (width === 8) return view.getBigUint64(at, true);
    return BigInt(width === 4 ? view.getUint32(at, true) : width === 2 ? view.getUint16(at, true) : view.getUint8(at));
  };
  const store = (address: bigint, width: number, value: bigint): void => {
    const [view, at] = place(address);
    const number = Number(unsigned(value, 32));
    if (width === 8) view.setBigUint64(at, unsigned(value, 64), true);
    else if (width === 4) view.setUint32(at, number, true);
    else if (width === 2) view.setUint16(at, number, true);
    else view.setUint8(at, number & 0xff);
  };
  for (let at = 0, count = 1; ; at++, count++) {
    const offset = at * INSTRUCTION;
    const opcode = code.getUint8(offset);
    const [to, from] = [code.getUint8(offset + 1) & 0xf, code.getUint8(offset + 1) >> 4];
    const jump = code.getInt16(offset + 2, true);
    const immediate = BigInt(code.getInt32(offset + 4, true));
    const [kind, operation] = [opcode & 7, opcode & 0xf0];
    const is64 = kind === CLASS.alu64 || kind === CLASS.jmp;
    const bits = is64 ? 64 : 32;
    const [a, b] = [registers[to]!, (opcode & 8) === 0 ? immediate : registers[from]!].map((each) =>
      unsigned(each, bits),
    );
    const unknown = () => new Error(`instruction ${at}: opcode 0x${opcode.toString(16)}`);
    switch (kind) {
      case CLASS.ld:
        // Two instructions in one; of a map's value, the second one has the offset.
        registers[to] = AT.rodata + BigInt(code.getInt32(offset + INSTRUCTION + 4, true));
        at++;
        break;
      case CLASS.ldx:
        registers[to] = load(registers[from]! + BigInt(jump), WIDTH[opcode & 0x18]!);
        break;
      case CLASS.st:
      case CLASS.stx:
        store(registers[to]! + BigInt(jump), WIDTH[opcode & 0x18]!, kind === CLASS.st ? immediate : registers[from]!);
        break;
      case CLASS.alu:
      case CLASS.alu64: {
        const calculate = ALU[operation];
        if (calculate === undefined) throw unknown();
        registers[to] = unsigned(calculate(a!, b!, bits), bits);
        break;
      }
      default: {
        if (opcode === 0x95) return { count, verdict: registers[0]! };
        if (opcode === 0x85) {
          registers[0] = returned;
          break;
        }
        const decide = JUMPS[operation];
        if (decide === undefined) throw unknown();
        if (decide(a!, b!, bits)) at += jump;
      }
    }
  }
}
