/** `bun scripts/bench/serve.ts`, as root: what a call of the daemon takes with eleven programs, and the daemon's memory. */
import { mkdtempSync, readFileSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Bpfman, BpfmanProgramType } from "../../src/grpc/generated/bpfman.ts";
import { Health } from "../../src/grpc/generated/health.ts";
import { GrpcClient } from "../../test/labs/grpc-client.ts";
import { removeTree } from "../residue.ts";
import { BPFMAN, ROOT } from "./measure.ts";

const PROGRAMS = 11;
const CALLS = 10_000;
/** A round of calls is short enough to happen between what else runs on a busy machine. */
const ROUND = 250;
const IDLE_MS = 10_000;
const OBJECT = join(ROOT, "dist/bpf/examples/packet_counter.bpf.o");

const directory = mkdtempSync(join(tmpdir(), "bpfman-bench-serve-"));
const socket = join(directory, "x.sock");
const words = ["--runtime-dir", directory, "serve", "--socket-path", socket, "--socket-group", "0"];
const daemon = Bun.spawn([BPFMAN, ...words], { stdio: ["ignore", "ignore", "ignore"] });

const residentMiB = (): number =>
  Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${daemon.pid}/status`, "utf8"))?.[1]) / 1024;
/** Hundredths of a second of processor time (proc_pid_stat(5): utime, stime). */
const ticks = (): number => {
  const fields = readFileSync(`/proc/${daemon.pid}/stat`, "utf8")
    .replace(/^.*[)] /s, "")
    .split(" ");
  return Number(fields[11]) + Number(fields[12]);
};
const median = (all: readonly number[]): number => all.toSorted((a, b) => a - b)[all.length >> 1] ?? Number.NaN;

/** The median of a call in microseconds: over all rounds, and of the best one. */
async function timed(call: () => Promise<unknown>): Promise<string> {
  const rounds: number[][] = [];
  for (let left = CALLS; left > 0; left -= ROUND) {
    const round: number[] = [];
    for (let time = 0; time < ROUND; time++) {
      const began = performance.now();
      await call();
      round.push((performance.now() - began) * 1000);
    }
    rounds.push(round);
  }
  return `median ${median(rounds.flat()).toFixed(0)} µs, best round ${Math.min(...rounds.map(median)).toFixed(0)} µs`;
}

try {
  while (statSync(socket, { throwIfNoEntry: false }) === undefined) await Bun.sleep(5);
  const client = new GrpcClient(socket);
  await client.call(Health.method.check, {});
  console.log(`after the start: ${residentMiB().toFixed(1)} MiB`);
  const ids: number[] = [];
  for (let count = 0; count < PROGRAMS; count++) {
    const { programs } = await client.call(Bpfman.method.load, {
      bytecode: { location: { case: "file", value: OBJECT } },
      info: [{ name: "count_openat", programType: BpfmanProgramType.TRACEPOINT }],
    });
    ids.push(programs[0]?.kernelInfo?.id ?? 0);
  }
  console.log(`Get:   ${await timed(() => client.call(Bpfman.method.get, { id: ids[5] ?? 0 }))}`);
  console.log(`after ${CALLS} calls: ${residentMiB().toFixed(1)} MiB`);
  console.log(`List:  ${await timed(() => client.call(Bpfman.method.list, { bpfmanProgramsOnly: true }))}`);
  console.log(`Check: ${await timed(() => client.call(Health.method.check, {}))}`);
  await Bun.sleep(IDLE_MS);
  const before = ticks();
  await Bun.sleep(IDLE_MS);
  console.log(
    `idle: ${(ticks() - before) * 10} ms of processor time in ${IDLE_MS / 1000} s; ${residentMiB().toFixed(1)} MiB`,
  );
  for (const id of ids) await client.call(Bpfman.method.unload, { id });
  client.close();
} finally {
  daemon.kill("SIGTERM");
  await daemon.exited;
  removeTree(directory);
}
