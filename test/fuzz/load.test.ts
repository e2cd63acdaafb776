/**
 * Damaged object files given to `program/load` on the real kernel: whatever libbpf and the kernel make of them, the process
 * lives, and nothing stays. The seed is printed; BPFMAN_FUZZ_SEED=N runs the same again, BPFMAN_FUZZ_SECONDS=N for longer.
 */
import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { buildBpf } from "../../scripts/build-bpf.ts";
import { SEED } from "../objects/damage.ts";
import { executable } from "../labs/executable.ts";
import { loadStorm } from "../labs/load-storm.ts";
import { OWN_MULTIARCH } from "../../scripts/debian.ts";

const SECONDS = Number(process.env.BPFMAN_FUZZ_SECONDS ?? 30);
/** For a process that is under way when the time is over. */
const MORE_MS = 300_000;

buildBpf();
const FIXTURES = resolve(import.meta.dir, "../../dist/bpf/fixtures");
// The one that has something of everything is worth the most damage.
const OURS = [
  "loader",
  "loader",
  "loader",
  "legacy",
  "counters",
  "kinds",
  "life",
  "maps",
  "sections",
  "chain",
  "every_kind",
];
const SHIPPED = `/usr/lib/${OWN_MULTIARCH}/bpf`;
const THEIRS = ["xdpfilt_alw_all.o", "xdpdump_bpf.o", "xsk_def_xdp_prog.o"].map((name) => join(SHIPPED, name));

const bpfman = executable();
const isRoot = process.geteuid?.() === 0;
const name = "no object ends the process that loads it";

test.skipIf(!isRoot)(
  isRoot ? name : `${name} (skipped: loading needs root)`,
  async () => {
    const objects = [
      ...OURS.map((each) => join(FIXTURES, `${each}.bpf.o`)),
      ...THEIRS.filter((path) => existsSync(path)),
    ];
    const directory = bpfman.path("");
    const { runtimeDir } = bpfman;
    const storm = { runtimeDir, directory, objects, seed: SEED, milliseconds: SECONDS * 1000 };
    const { rounds, crashes, counts } = await loadStorm(storm);
    console.log(`fuzz: seed ${SEED}, ${rounds} rounds, ${JSON.stringify(counts)}`);
    expect(crashes).toEqual([]);
    expect(counts.loaded).toBeGreaterThan(0);
    expect(counts.refused).toBeGreaterThan(0);
    expect(await bpfman.programs()).toEqual([]);
    await bpfman.expectNothingLeft();
  },
  SECONDS * 1000 + MORE_MS,
);
