/**
 * The smallest programs the kernel accepts, as hand-written instructions and BTF (little-endian, like this machine).
 */

/** Sets R0, the return value, to a small number and exits. */
const answer = (value: number): number[][] => [
  [0xb7, 0, 0, 0, value, 0, 0, 0],
  [0x95, 0, 0, 0, 0, 0, 0, 0],
];
/** Calls the function that starts `distance` instructions after the next one (BPF_PSEUDO_CALL) and exits. */
const callThenReturn = (distance: number): number[][] => [
  [0x85, 0x10, 0, 0, distance, 0, 0, 0],
  [0x95, 0, 0, 0, 0, 0, 0, 0],
];
const program = (...parts: readonly number[][][]): Uint8Array => new Uint8Array(parts.flat(2));

/** Returns 0. */
export const NOTHING = program(answer(0));

/** XDP_PASS. */
const PASS = 2;

/** An XDP program that only calls a replaceable function, `slot`: a minimal dispatcher. */
export const CALLER = program(callThenReturn(1), answer(PASS));
/** Replaces `slot`. */
export const REPLACEMENT = program(answer(PASS));

const words = (...values: readonly number[]): Uint8Array => new Uint8Array(new Uint32Array(values).buffer);

const NAMES = ["", "int", "xdp_md", "ctx", "caller", "slot"] as const;
const strings = new TextEncoder().encode(NAMES.map((name) => `${name}\0`).join(""));
const nameAt = (name: (typeof NAMES)[number]): number =>
  NAMES.slice(0, NAMES.indexOf(name)).reduce((offset, before) => offset + before.length + 1, 0);

const kind = (number: number, count = 0): number => number * 2 ** 24 + count;
const [INT, PTR, STRUCT, FUNC, FUNC_PROTO] = [1, 2, 4, 12, 13] as const;
const GLOBAL = 1;
const SIGNED_32_BITS = 0x01000020;

/** IDs are positions in this list, from 1. The kernel identifies `xdp_md` by name; its members do not matter. */
const types = [
  [nameAt("int"), kind(INT), 4, SIGNED_32_BITS],
  [nameAt("xdp_md"), kind(STRUCT), 4],
  [0, kind(PTR), 2],
  [0, kind(FUNC_PROTO, 1), 1, nameAt("ctx"), 3],
  [nameAt("caller"), kind(FUNC, GLOBAL), 4],
  [nameAt("slot"), kind(FUNC, GLOBAL), 4],
];
const CALLER_ID = 5;
/** The ID of `slot` in {@link CALLER_BTF}. */
export const SLOT_ID = 6;

const HEADER_BYTES = 24;
const typeWords = words(...types.flat());

/** Describes `int caller(struct xdp_md *ctx)` and `int slot(struct xdp_md *ctx)`. */
export const CALLER_BTF = Uint8Array.from([
  ...words(0x0001eb9f, HEADER_BYTES, 0, typeWords.length, typeWords.length, strings.length),
  ...typeWords,
  ...strings,
]);

/** Instruction index and type of each function of {@link CALLER}. */
export const CALLER_FUNCTIONS = words(0, CALLER_ID, 2, SLOT_ID);
/** Instruction index and type of the function of {@link REPLACEMENT}. */
export const REPLACEMENT_FUNCTIONS = words(0, SLOT_ID);
