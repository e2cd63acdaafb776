/**
 * Loads damaged object files as `program/load` does, one after the other, and unloads what the kernel took: RUNTIME_DIR
 * DIRECTORY SEED FROM TO, then the files to damage. Each round's number goes into the file `round` before it begins, so that who
 * started this knows which one ended it. At its end it prints what became of the rounds.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ObjectFile } from "../../src/domain/object-file.ts";
import { BpfmanError } from "../../src/errors/error.ts";

import type { ProgramType } from "../../src/domain/kinds.ts";
import { readObject } from "../../src/object/object-file.ts";
import { connect } from "../../src/runtime.ts";
import { damageFields, elfPlaces, randomFrom } from "../objects/damage.ts";
import { KERNEL_FUNCTION, LSM_HOOK } from "./load-storm.ts";

/** What a damaged file may ask of the kernel: memory is not what is tested here. */
const BYTES_MAX = 32 * 1024 * 1024;

const [runtimeDir = "", directory = "", seed = "", from = "", to = "", ...paths] = process.argv.slice(2);
const settings = { stateDir: null, cacheDir: null, configFile: null, caFile: null, lockTimeoutMs: 0 };
const invoke = await connect({ ...settings, runtimeDir, logLevel: "error" }, (text) => process.stderr.write(text));
const seeds = paths.map((path) => {
  const bytes = new Uint8Array(readFileSync(path));
  return { bytes, places: elfPlaces(bytes) };
});
const functionFor = (type: ProgramType) => {
  if (type === "lsm") return LSM_HOOK;
  return type === "fentry" || type === "fexit" ? KERNEL_FUNCTION : null;
};

function tooLarge({ maps, globals }: ObjectFile): boolean {
  const sizes = maps.map(
    ({ keySize, valueSize, maxEntries }) => ((keySize ?? 0) + (valueSize ?? 0) + 64) * (maxEntries ?? 0),
  );
  const ends = globals.map(({ offset, size }) => offset + size);
  return [...sizes, ...ends].some((size) => size > BYTES_MAX);
}

const counts = { refused: 0, left: 0, loaded: 0, failed: {} as Record<string, number> };
const file = join(directory, "damaged.o");
for (let round = Number(from); round < Number(to); round++) {
  const random = randomFrom(Number(seed) + round);
  const { bytes, places } = seeds[random(seeds.length)]!;
  const damaged = damageFields(bytes, places, random);
  let object: ObjectFile;
  try {
    object = readObject(damaged, { nativeByteOrderOnly: true });
  } catch (error) {
    if (!(error instanceof BpfmanError)) throw error;
    counts.refused++;
    continue;
  }
  const programs = object.programs.flatMap(({ name, kind }) =>
    kind !== null ? [{ type: kind, name, attachFunction: functionFor(kind) }] : [],
  );
  const chosen = random(3) === 0 ? programs : programs.slice(random(programs.length)).slice(0, 1);
  if (chosen.length === 0 || tooLarge(object)) {
    counts.left++;
    continue;
  }
  writeFileSync(join(directory, "round"), String(round));
  writeFileSync(file, damaged);
  try {
    const answer = await invoke("program/load", { source: { file }, programs: chosen });
    counts.loaded++;
    for (const { record } of answer.programs) await invoke("program/unload", { programId: record?.program_id });
  } catch (error) {
    if (!(error instanceof BpfmanError) || error.code === "INTERNAL")
      throw new Error(`round ${round}: ${error}`, { cause: error });
    counts.failed[error.code] = (counts.failed[error.code] ?? 0) + 1;
  }
}
console.log(JSON.stringify(counts));
