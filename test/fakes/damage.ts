/** Damaged copies of files and messages, the same again for the same seed, and what reads them. */
import { BpfmanError } from "../../src/errors/error.ts";

export const SEED = Number(process.env.BPFMAN_FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 32));
export const ROUNDS = Number(process.env.BPFMAN_FUZZ_ROUNDS ?? 4000);
/** Processor time: far above what any of these inputs takes, far below a hang. */
const TIME_MAX_MS = 10_000;

/** Numbers at the edges of what fields hold. */
const EXTREMES = [
  0n,
  1n,
  0x7fn,
  0xffn,
  0xff00n,
  0xffffn,
  0x7fff_ffffn,
  0xffff_ffffn,
  2n ** 53n,
  2n ** 63n,
  2n ** 64n - 1n,
];

export type Random = (below: number) => number;

/** mulberry32: small, and the same everywhere. */
export function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % Math.max(1, below);
  };
}

/** One to four kinds of damage to a copy of a file. `special` are places where its structure is written down. */
function damage(original: Uint8Array, special: readonly number[], random: Random): Uint8Array {
  let bytes = original.slice();
  for (let times = 1 + random(4); times > 0 && bytes.length > 0; times--) {
    const place = random(4) > 0 ? special[random(special.length)]! + random(8) : random(bytes.length);
    const at = Math.min(place, bytes.length - 1);
    switch (random(7)) {
      case 0:
        bytes[at]! ^= 1 << random(8);
        break;
      case 1:
        bytes[at] = random(256);
        break;
      case 2:
        bytes = bytes.subarray(0, random(bytes.length));
        break;
      case 3: {
        const from = random(bytes.length);
        bytes.copyWithin(at, from, from + 1 + random(256));
        break;
      }
      case 4:
        bytes.fill(random(2) === 0 ? 0xff : random(256), at, at + 1 + random(64));
        break;
      default:
        writeExtreme(bytes, at, random);
    }
  }
  return bytes;
}

function writeExtreme(bytes: Uint8Array, at: number, random: Random): void {
  const width = [1, 2, 4, 8][random(4)]!;
  const start = at - (at % width);
  if (start + width > bytes.length) return;
  const chosen = random(4) === 0 ? BigInt(bytes.length - random(64)) : EXTREMES[random(EXTREMES.length)]!;
  const value = BigInt.asUintN(64, chosen - BigInt(random(3) === 0 ? random(4) : 0));
  for (let i = 0; i < width; i++) bytes[start + i] = Number((value >> BigInt(8 * i)) & 0xffn);
}

/** Offsets at which the structure of an input is written down. */
export type Places = (bytes: Uint8Array) => readonly number[];

export interface Storm {
  readonly seeds: readonly Uint8Array[];
  readonly places: Places;
  /** What a reader may throw for a damaged input; a BpfmanError unless told otherwise. */
  readonly isRefusal?: (error: unknown) => boolean;
}

/** Runs `read` over damaged copies; answers how many were read and how many refused. */
export function storm(
  { seeds, places, isRefusal = (error) => error instanceof BpfmanError }: Storm,
  read: (bytes: Uint8Array) => void,
): { readonly accepted: number; readonly refused: number } {
  const originals = seeds.map((bytes) => ({ bytes, special: places(bytes) }));
  let [accepted, refused, slowest] = [0, 0, 0];
  for (let round = 0; round < ROUNDS; round++) {
    const random = randomFrom(SEED + round);
    const { bytes, special } = originals[random(originals.length)]!;
    const file = damage(bytes, special, random);
    const before = process.cpuUsage();
    try {
      read(file);
      accepted++;
    } catch (error) {
      if (!isRefusal(error)) throw new Error(`seed ${SEED}, round ${round}: ${error}`, { cause: error });
      refused++;
    }
    const { user, system } = process.cpuUsage(before);
    const took = (user + system) / 1000;
    if (took > TIME_MAX_MS) throw new Error(`seed ${SEED}, round ${round}: ${took} ms`);
    slowest = Math.max(slowest, took);
  }
  console.log(
    `fuzz: seed ${SEED}, ${ROUNDS} rounds, ${accepted} read, ${refused} refused, ${slowest.toFixed(1)} ms at most`,
  );
  return { accepted, refused };
}
