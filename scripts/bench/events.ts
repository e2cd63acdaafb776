/**
 * `bun scripts/bench/events.ts [SECONDS]`: programs pass events to user space at several rates, through a ring buffer of 1 MiB and
 * through perf buffers, while `bpfman map events` writes them into a pipe that another process reads. Look at what is lost.
 */
import { existsSync, mkdtempSync, readFileSync, realpathSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { addressOf, allocate, keepAlive } from "../../ffi/memory.ts";
import { openById } from "../../ffi/safe/bpf.ts";
import { syscall } from "../../ffi/safe/libc.ts";
import { removeTree } from "../residue.ts";
import { BPFMAN, must, ROOT, Stopwatch } from "./measure.ts";

const OBJECT = join(ROOT, "dist/bpf/bench/events.bpf.o");
const RATES = [50_000, 100_000, 200_000, 400_000];
const STEP_MS = 1;
const PACKET_BYTES = 64;

/** BPF_PROG_TEST_RUN, and where union bpf_attr has what it needs. */
const TEST_RUN = 10;
const ATTR_BYTES = 80;

/** Runs a program again and again, at a steady rate as long as the processor allows it. Returns how often. */
function produce(program: number, rate: number, seconds: number): number {
  const fd = openById("program", program);
  if (fd === null) throw new Error(`no program ${program}`);
  const packet = allocate(PACKET_BYTES);
  const attr = allocate(ATTR_BYTES);
  const view = new DataView(attr.buffer);
  view.setUint32(0, fd, true);
  view.setUint32(8, PACKET_BYTES, true);
  view.setBigUint64(16, BigInt(addressOf(packet)), true);
  const begin = performance.now();
  let made = 0;
  for (let ms = 0; ms < seconds * 1000; ms = performance.now() - begin) {
    const due = Math.floor((rate * (ms + STEP_MS)) / 1000) - made;
    if (due > 0) {
      view.setUint32(32, due, true);
      const result = syscall("bpf", TEST_RUN, addressOf(attr), ATTR_BYTES);
      if (result < 0) throw new Error(`BPF_PROG_TEST_RUN failed: ${result}`);
      made += due;
    }
    Bun.sleepSync(STEP_MS);
  }
  keepAlive(packet, attr);
  return made;
}

interface Row {
  readonly made: number;
  readonly read: number;
  readonly refused: number;
  readonly cpuMs: number;
  readonly peakMiB: number;
}

async function measure(
  watch: Stopwatch,
  env: Record<string, string>,
  row: { program: number; rate: number; seconds: number },
): Promise<Row> {
  const refusedNow = (): number => JSON.parse(must([BPFMAN, "map", "lookup", `${row.program}/.bss`, "0"], env)).refused;
  const before = refusedNow();
  const report = join(watch.directory, "report");
  const all = { ...process.env, ...env };
  const command = [
    join(watch.directory, "stopwatch"),
    report,
    BPFMAN,
    "map",
    "events",
    String(row.program),
    "--for",
    `${row.seconds + 3}s`,
  ];
  const counter = Bun.spawn(["sh", "-c", `${command.map((word) => `'${word}'`).join(" ")} | wc -l`], {
    env: all,
    stdout: "pipe",
  });
  await Bun.sleep(1500);
  const script = [process.execPath, import.meta.path, "--produce", row.program, row.rate, row.seconds].map(String);
  const made = Number(must(script));
  const read = Number(await counter.stdout.text());
  const [, cpuUs = 0, peakKiB = 0] = readFileSync(report, "utf8").trim().split(" ").map(Number);
  return { made, read, refused: refusedNow() - before, cpuMs: cpuUs / 1000, peakMiB: peakKiB / 1024 };
}

async function bench(folder: string, seconds: number): Promise<void> {
  const watch = new Stopwatch(folder);
  const env = { BPFMAN_RUNTIME_DIR: join(folder, "run") };
  for (const kind of ["ring", "perf"]) {
    const loaded = must([BPFMAN, "load", "file", "--path", OBJECT, "--programs", `xdp:to_${kind}`, "-o", "json"], env);
    const program: number = JSON.parse(loaded).programs[0].record.program_id;
    console.log(`\nEvents of 40 bytes through a ${kind} buffer, for ${seconds} s`);
    console.log("wanted/s      made/s      read/s        lost   cpu µs/event   peak MiB");
    for (const rate of RATES) {
      const { made, read, refused, cpuMs, peakMiB } = await measure(watch, env, { program, rate, seconds });
      const columns = [rate, Math.round(made / seconds), Math.round(read / seconds), refused];
      const shown = columns.map((each, i) => String(each).padStart(i === 0 ? 8 : 12)).join("");
      console.log(`${shown}${((cpuMs * 1000) / read).toFixed(2).padStart(15)}${peakMiB.toFixed(1).padStart(11)}`);
    }
    must([BPFMAN, "unload", String(program)], env);
  }
}

const [word, ...numbers] = process.argv.slice(2);
if (word === "--produce") {
  const [program = 0, rate = 0, seconds = 0] = numbers.map(Number);
  console.log(produce(program, rate, seconds));
} else {
  if (!existsSync(BPFMAN)) throw new Error('nothing built yet: run "bun run build"');
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "bpfman-bench-events-")));
  try {
    await bench(folder, Number(word ?? 10));
  } finally {
    removeTree(folder);
  }
}
