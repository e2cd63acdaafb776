/**
 * `bun scripts/bench/stats.ts [ROUNDS]`: what `stats` takes besides its interval with 200 programs, half of which bpfman did not
 * load, beside an empty Bun program. Look at the ratios. The interval is taken off the times; the CPU time includes what is
 * done in it.
 */
import { existsSync, mkdtempSync, realpathSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { removeTree } from "../residue.ts";
import { emptyProgram } from "./commands.ts";
import { BPFMAN, MEMBERS, must, printRuns, race, Stopwatch } from "./measure.ts";

const PROGRAMS = 200;
const INTERVAL_MS = 200;
/** Programs of members.bpf.o that one load names. */
const PER_LOAD = 50;

function bench(folder: string, rounds: number): void {
  const watch = new Stopwatch(folder);
  const envOf = (name: string) => ({ BPFMAN_RUNTIME_DIR: join(folder, name) });
  // To the one, those of the other are programs of somebody else.
  const [ours, others] = [envOf("ours"), envOf("others")];
  const names = Array.from({ length: PER_LOAD }, (_, index) => `tcx:tc_${10 + index}`);
  for (let loaded = 0; loaded < PROGRAMS; loaded += PER_LOAD) {
    const env = loaded < PROGRAMS / 2 ? ours : others;
    must([BPFMAN, "load", "file", "--path", MEMBERS, "--programs", ...names], env);
  }
  const run = (...command: readonly string[]) => ({
    name: command.slice(1).join(" "),
    run: () => watch.run(command, ours),
  });
  const empty = { ...run(emptyProgram(folder)), name: "empty Bun program: the floor" };
  const stats = [[], ["-o", "json"], ["--members"]].map((words) => {
    const { run: whole } = run(BPFMAN, "stats", "--interval", `${INTERVAL_MS}ms`, ...words);
    const besides = () => {
      const { ms, ...rest } = whole();
      return { ...rest, ms: ms - INTERVAL_MS };
    };
    return { name: ["bpfman stats", ...words].join(" "), run: besides };
  });
  const metrics = { ...run(BPFMAN, "metrics"), name: "bpfman metrics" };
  printRuns(`Statistics of ${PROGRAMS} programs`, race([empty, ...stats, metrics], rounds));
  for (const name of ["ours", "others"]) must(["umount", join(folder, name, "fs")]);
}

if (!existsSync(BPFMAN)) throw new Error('nothing built yet: run "bun run build"');
const folder = realpathSync(mkdtempSync(join(tmpdir(), "bpfman-bench-stats-")));
try {
  bench(folder, Number(process.argv[2] ?? 20));
} finally {
  removeTree(folder);
}
