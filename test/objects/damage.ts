/** Damaged copies of files and messages, reproducible by seed, and the code that reads them. */
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

/**
 * One to three fields with another value that might stand there: near the old one, small, an extreme, or that of another
 * field. Most of such a file still makes sense, so that damage is met deep inside of whoever reads it.
 */
export function damageFields(original: Uint8Array, places: readonly number[], random: Random): Uint8Array {
  const bytes = original.slice();
  const view = new DataView(bytes.buffer);
  for (let times = 1 + random(3); times > 0; times--) {
    const at = places[random(places.length)]!;
    if (at + 8 > bytes.length) continue;
    const old = view.getUint32(at, true);
    switch (random(8)) {
      case 0:
        bytes[at + random(4)]! ^= 1 << random(8);
        break;
      case 1:
        view.setUint32(at, old + 1 - random(3), true);
        break;
      case 2:
        view.setUint32(at, old + 8 * (1 - random(3)), true);
        break;
      case 3:
        view.setUint16(at + 2 * random(2), random(64), true);
        break;
      case 4:
        view.setUint32(at, view.getUint32(Math.min(places[random(places.length)]!, bytes.length - 4), true), true);
        break;
      case 5:
        bytes[at + random(4)] = random(256);
        break;
      case 6:
        view.setUint32(at, random(256), true);
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

/** The most of a section of program code or names that is worth damage: there is much of it that says little. */
const DULL_WORDS_MAX = 64;

/**
 * Of a 64-bit little-endian ELF file, the header, each field of section headers, and every word of what is read as a
 * structure: symbols, relocations, BTF, its extension, and definitions of maps. Some of the rest.
 */
export const elfPlaces: Places = (bytes) => {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const places = Array.from({ length: 16 }, (_, i) => i * 4);
  const headers = Number(view.getBigUint64(40, true));
  for (let i = 0; i < view.getUint16(60, true); i++) {
    const header = headers + i * 64;
    for (let field = 0; field < 64; field += 4) places.push(header + field);
    const [offset, size] = [24, 32].map((field) => Number(view.getBigUint64(header + field, true))) as [number, number];
    const type = view.getUint32(header + 4, true);
    const isBtf = type === 1 && size >= 2 && view.getUint16(offset, true) === 0xeb9f;
    const words = isBtf || type === 2 || type === 9 ? size / 4 : Math.min(size / 4, DULL_WORDS_MAX);
    if (type !== 8) for (let word = 0; word < Math.floor(words); word++) places.push(offset + word * 4);
  }
  return places;
};

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
