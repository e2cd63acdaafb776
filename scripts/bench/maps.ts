/**
 * `bun scripts/bench/maps.ts [ROUNDS]`: dumps a map of a million entries of 16 bytes with bpfman and with bpftool, and looks one
 * of them up, beside an empty Bun program. Look at the ratios and the memory.
 */
import { existsSync, mkdtempSync, realpathSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openById } from "../../ffi/safe/bpf.ts";
import { MapElements } from "../../ffi/safe/map-elements.ts";
import { removeTree } from "../residue.ts";
import { emptyProgram } from "./commands.ts";
import { BPFMAN, must, printRuns, race, ROOT, Stopwatch } from "./measure.ts";

const OBJECT = join(ROOT, "dist/bpf/fixtures/map_values.bpf.o");
const ENTRIES = 1_000_000;
/** Spreads the keys. */
const STEP = 2_654_435_761;

function fill(map: number): void {
  const fd = openById("map", map);
  if (fd === null) throw new Error(`no map ${map}`);
  const elements = new MapElements(fd, { keyBytes: 8, valueBytes: 8 });
  const [key, value] = [new BigUint64Array(1), new BigUint64Array(1)];
  const [keyBytes, valueBytes] = [new Uint8Array(key.buffer), new Uint8Array(value.buffer)];
  for (let i = 0; i < ENTRIES; i++) {
    key[0] = BigInt(i * STEP);
    value[0] = BigInt(i);
    elements.update(keyBytes, valueBytes, "any");
  }
}

function bench(folder: string, rounds: number): void {
  const watch = new Stopwatch(folder);
  const env = { BPFMAN_RUNTIME_DIR: join(folder, "run") };
  must([BPFMAN, "load", "file", "--path", OBJECT, "--programs", "xdp:use_all"], env);
  const { id }: { readonly id: number } = JSON.parse(must([BPFMAN, "map", "get", "million", "-o", "json"], env));
  fill(id);
  const run = (...command: readonly string[]) => ({
    name: command.slice(1).join(" "),
    run: () => watch.run(command, env),
  });
  const bpftool =
    Bun.which("bpftool") === null
      ? []
      : [{ ...run("bpftool", "-j", "map", "dump", "id", String(id)), name: "bpftool -j map dump" }];
  const dumps = [
    ...bpftool,
    { ...run(BPFMAN, "map", "dump", "million", "-o", "json"), name: "bpfman map dump -o json" },
  ];
  printRuns(`Map: dump ${ENTRIES} entries of 16 bytes`, race(dumps, Math.min(rounds, 5)));
  const empty = { ...run(emptyProgram(folder)), name: "empty Bun program: the floor" };
  const lookup = { ...run(BPFMAN, "map", "lookup", "million", String(STEP)), name: "bpfman map lookup" };
  printRuns("Map: look up an entry", race([empty, lookup], rounds));
}

if (!existsSync(BPFMAN)) throw new Error('nothing built yet: run "bun run build"');
const folder = realpathSync(mkdtempSync(join(tmpdir(), "bpfman-bench-maps-")));
try {
  bench(folder, Number(process.argv[2] ?? 20));
} finally {
  removeTree(folder);
}
