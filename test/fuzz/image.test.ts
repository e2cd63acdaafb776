/**
 * Archives, manifests, labels, references and challenges made of damaged and rearranged pieces: each is either read or
 * rejected with its own error, quickly. Prints its seed; BPFMAN_FUZZ_SEED=N repeats a run, BPFMAN_FUZZ_ROUNDS=N runs
 * more.
 */
import { expect, test } from "bun:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { BpfmanError } from "../../src/errors/error.ts";
import { parseChallenges } from "../../src/image/authorization.ts";
import { digestOf } from "../../src/image/repository.ts";
import { readLabels } from "../../src/image/read-labels.ts";
import { objectIn } from "../../src/image/layer.ts";
import { DOCKER_LIST, mediaTypeOf, OCI_INDEX, OCI_MANIFEST, readManifest } from "../../src/image/manifest.ts";
import { selectEntry } from "../../src/image/platform.ts";
import { formatReference, parseReference } from "../../src/image/reference.ts";
import { readTar } from "../../src/image/tar.ts";
import { bytesOf, ELF, OCI_LAYER, tarOf, withSum } from "../objects/image.ts";

const SEED = Number(process.env.BPFMAN_FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 32));
const ROUNDS = Number(process.env.BPFMAN_FUZZ_ROUNDS ?? 3000);
/** Of the processor: others may be at work on the machine. */
const TIME_MAX_US = 2_000_000;

/** A linear congruential generator (Numerical Recipes' constants): the same everywhere. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

type Random = ReturnType<typeof randomFrom>;

/** Runs it: any BpfmanError is an answer, anything else thrown is a mistake. True when nothing was thrown. */
async function survives(round: number, run: () => unknown): Promise<boolean> {
  const start = process.cpuUsage();
  try {
    await run();
    return true;
  } catch (thrown) {
    if (!(thrown instanceof BpfmanError)) throw new Error(`round ${round} of seed ${SEED}`, { cause: thrown });
    return false;
  } finally {
    expect(process.cpuUsage(start).user).toBeLessThan(TIME_MAX_US);
  }
}

/** Some bytes changed, cut, or doubled. */
function damaged(bytes: Uint8Array, random: Random): Buffer {
  const copy = Buffer.from(bytes);
  for (let times = random(6); times > 0; times--) {
    const at = random(copy.length);
    const kind = random(4);
    if (kind === 0) copy[at] = random(256);
    else if (kind === 1) copy[at] = (copy[at] ?? 0) ^ (1 << random(8));
    else if (kind === 2) copy.fill(random(2) * 0xff, at, Math.min(at + random(64), copy.length));
    else copy.copy(copy, at, random(copy.length), random(copy.length));
  }
  return random(5) === 0 ? copy.subarray(0, random(copy.length)) : copy;
}

const invalid = (reason: string) => new BpfmanError("INVALID_IMAGE", reason);

/** An archive with all kinds of entries. */
const ARCHIVE = tarOf([
  { name: "./", type: "5" },
  { name: "pax", type: "x", bytes: bytesOf("16 path=name.o\n\n".slice(0, 15)) },
  { name: "./program.o", bytes: ELF },
  { name: "././@LongLink", type: "L", bytes: bytesOf(`${"long/".repeat(30)}name\0`) },
  { name: "long", bytes: bytesOf("content") },
  { name: "README", bytes: bytesOf("x".repeat(700)) },
]);

test(`archives (seed ${SEED})`, async () => {
  const random = randomFrom(SEED);
  let read = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const archive = damaged(ARCHIVE, random);
    // Half of them get sound sums, or little would be seen behind the first.
    if (random(2) === 0) {
      for (let at = 0; at + 512 <= archive.length; at += 512) {
        if (archive.subarray(at + 257, at + 262).toString() === "ustar") withSum(archive.subarray(at, at + 512));
      }
    }
    const sound = await survives(round, () => {
      for (const { name, bytes } of readTar(archive, invalid)) {
        expect(name.split("/")).not.toContain("..");
        expect(name.startsWith("/")).toBe(false);
        expect(bytes.length).toBeLessThanOrEqual(archive.length);
      }
    });
    if (sound) read++;
  }
  expect(read).toBeGreaterThan(0);
  expect(read).toBeLessThan(ROUNDS);
});

test(`packed layers (seed ${SEED})`, async () => {
  const random = randomFrom(SEED);
  const packed = [gzipSync(ARCHIVE), zstdCompressSync(ARCHIVE), ARCHIVE];
  for (let round = 0; round < ROUNDS / 10; round++) {
    const bytes = damaged(packed[random(packed.length)] ?? ARCHIVE, random);
    await survives(round, () => objectIn({ mediaType: OCI_LAYER, bytes, name: "h.io/a:1", fileName: null }));
  }
});

const DIGEST = digestOf(ELF);
const SOUND = { digest: DIGEST, size: 1, mediaType: OCI_MANIFEST };
/** Pieces of JSON that manifests are made of, and some that they are not. */
const VALUES: readonly unknown[] = [
  null,
  true,
  0,
  -1,
  1e308,
  "",
  "linux",
  "amd64",
  DIGEST,
  "sha256:../..",
  OCI_MANIFEST,
  OCI_INDEX,
  DOCKER_LIST,
  [],
  {},
  SOUND,
  { ...SOUND, platform: { os: "linux", architecture: "amd64" } },
  { "io.ebpf.programs": '{"a":"xdp"}' },
  { "io.ebpf.programs": "[" },
  { Labels: { "io.ebpf.program_name": "a" } },
];
const KEYS = [
  "mediaType",
  "config",
  "layers",
  "manifests",
  "digest",
  "size",
  "platform",
  "annotations",
  "Labels",
  "__proto__",
];

function value(random: Random, depth: number): unknown {
  const kind = random(4);
  if (depth === 0 || kind < 2) return VALUES[random(VALUES.length)];
  const parts = Array.from({ length: random(4) }, () => value(random, depth - 1));
  if (kind === 2) return parts;
  return Object.fromEntries(parts.map((part) => [KEYS[random(KEYS.length)] ?? "", part]));
}

test(`manifests and configurations (seed ${SEED})`, async () => {
  const random = randomFrom(SEED);
  let read = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const parts = Array.from({ length: random(6) }, () => [KEYS[random(KEYS.length)] ?? "", value(random, 3)]);
    // Half of them start out sound, or few would be read to their end.
    const base = random(2) === 0 ? { config: SOUND, layers: [SOUND] } : {};
    let bytes: Uint8Array = bytesOf(JSON.stringify({ ...base, ...Object.fromEntries(parts) }));
    if (random(4) === 0) bytes = damaged(bytes, random);
    const sound = await survives(round, () => {
      const manifest = readManifest({ bytes, digest: DIGEST, mediaType: mediaTypeOf(bytes, "a") }, "a");
      if (manifest.kind === "index") selectEntry(manifest.entries, { architecture: "amd64", name: "a" });
    });
    if (sound) read++;
    await survives(round, () => readLabels(bytes, "a"));
  }
  expect(read).toBeGreaterThan(0);
});

const PIECES = [
  "a",
  "A",
  ".",
  "..",
  ":",
  "/",
  "@",
  "sha256:",
  DIGEST,
  "localhost",
  "quay.io",
  ":5000",
  "_",
  "-",
  "[::1]",
];
const STRANGE = [" ", "\n", "\0", "%2e", "é", "https://", "user:secret@"];

test(`references (seed ${SEED})`, async () => {
  const random = randomFrom(SEED);
  let read = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const pieces = random(5) === 0 ? [...PIECES, ...STRANGE] : PIECES;
    const text = Array.from({ length: random(8) }, () => pieces[random(pieces.length)]).join("");
    const sound = await survives(round, () => {
      const reference = parseReference(text);
      const whole = formatReference(reference);
      expect(parseReference(whole)).toEqual(reference);
      // It becomes part of an address, whose host and path must be what they seem.
      const url = new URL(`https://${reference.registry}/v2/${reference.path}/manifests/latest`);
      expect(url.pathname).toBe(`/v2/${reference.path}/manifests/latest`);
      expect(url.username).toBe("");
    });
    if (sound) read++;
  }
  expect(read).toBeGreaterThan(0);
});

test(`challenges (seed ${SEED})`, () => {
  const random = randomFrom(SEED);
  const pieces = ["Basic", "Bearer", " ", ",", "=", '"', "\\", "realm", "service", "x", 'realm="y"', "\t", "é"];
  for (let round = 0; round < ROUNDS; round++) {
    const header = Array.from({ length: random(20) }, () => pieces[random(pieces.length)]).join("");
    for (const { scheme } of parseChallenges(header)) expect(scheme).toMatch(/^[a-z][a-z0-9-]*$/);
  }
});
