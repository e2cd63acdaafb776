/**
 * Part of `bun run bench`: measures the JSON-RPC server. Requests go one by one and take turns with an echo server
 * built on the same library; look at the ratios to that.
 */
import { mkdtempSync, realpathSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { removeTree } from "../residue.ts";
import { BPFMAN, type Env, least, must, ROOT } from "./measure.ts";
import { Peer, startSession } from "./session.ts";

const OBJECT = join(ROOT, "dist/bpf/examples/packet_counter.bpf.o");
const PROGRAM_COUNTS = [10, 100, 1000];
const REQUESTS = 400;
const SPAWNS = 20;
const LIVES = 20;
const LEAK_REQUESTS = 100_000;
const LOAD = { source: { file: OBJECT }, programs: [{ type: "tracepoint", name: "count_openat" }] };
/** The verifier works at it for seconds, up to its limit. */
const SLOW_OBJECT = join(ROOT, "dist/bpf/fixtures/slow.bpf.o");
const LOAD_SLOW = { source: { file: SLOW_OBJECT }, programs: [{ type: "xdp", name: "slow" }] };
const VERIFICATIONS = 8;
const READS = 50;
/** After this time the verifier has begun, and has long to go. */
const VERIFYING_MS = 700;
const TRACEPOINT = "syscalls/sys_enter_openat";

interface Subject {
  readonly name: string;
  readonly run: () => Promise<unknown>;
  /** Milliseconds, one per run. */
  readonly times: number[];
}
const subject = (name: string, run: Subject["run"]): Subject => ({ name, run, times: [] });

/** Runs all of them `rounds` times in turn, after a few warm-up rounds. */
async function takeTurns(subjects: readonly Subject[], rounds: number): Promise<void> {
  for (let round = -Math.ceil(rounds / 10); round < rounds; round++) {
    for (const { run, times } of subjects) {
      const beganMs = performance.now();
      await run();
      if (round >= 0) times.push(performance.now() - beganMs);
    }
  }
}

function quantile(times: readonly number[], share: number): number {
  const sorted = times.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

function print(title: string, subjects: readonly Subject[]): void {
  console.log(`\n${title}`);
  console.log(`${"".padEnd(44)}  least ms    p50 ms    p99 ms   ratio`);
  const base = quantile(subjects[0]?.times ?? [], 0.5);
  for (const { name, times } of subjects) {
    const middle = quantile(times, 0.5);
    const columns = [least(times), middle, quantile(times, 0.99)].map((ms) => ms.toFixed(3).padStart(10)).join("");
    console.log(`${name.padEnd(44)}${columns}${(middle / base).toFixed(2).padStart(8)}`);
  }
}

async function benchRequests(env: (count: number) => Env): Promise<void> {
  const echo = new Peer([process.execPath, join(import.meta.dir, "echo-server.ts")]);
  const sessions: Peer[] = [];
  const subjects = [subject("echo, the library alone", () => echo.call("echo", { features: false }))];
  for (const count of PROGRAM_COUNTS) {
    const session = await startSession(env(count));
    sessions.push(session);
    if (count === PROGRAM_COUNTS[0]) {
      subjects.push(subject("version", () => session.call("version", { features: false })));
    }
    for (let loaded = 0; loaded < count; loaded++) await session.call("program/load", LOAD);
    subjects.push(subject(`program/list, ${count} programs`, () => session.call("program/list", {})));
    const summary = { view: "summary" };
    subjects.push(subject(`program/list, ${count} programs, summary`, () => session.call("program/list", summary)));
  }
  await takeTurns(subjects, REQUESTS);
  print("JSON-RPC requests, one by one", subjects);
  for (const session of [...sessions, echo]) await session.end();
}

async function benchSpawn(env: Env): Promise<void> {
  const spawn = (method: string, params: unknown) => async (): Promise<void> => {
    const peer = new Peer([BPFMAN, "rpc"], env);
    await peer.call(method, params).catch(() => {});
    await peer.end();
  };
  const subjects = [
    subject("bpfman version, one command", async () => must([BPFMAN, "version"], env)),
    subject("spawn, first reply (a refusal), end", spawn("version", {})),
    subject("spawn, initialize with kernel features, end", spawn("initialize", { protocolVersion: 1 })),
  ];
  await takeTurns(subjects, SPAWNS);
  print("From spawn to the end of a session", subjects);
}

interface Loaded {
  readonly programs: readonly { readonly record: { readonly program_id: number } }[];
}
interface Attached {
  readonly record: { readonly id: number };
}

async function benchLife(env: Env): Promise<void> {
  const session = await startSession(env);
  const json = <T>(...words: readonly string[]): T => JSON.parse(must([BPFMAN, ...words, "-o", "json"], env));
  const subjects = [
    subject("by one session", async () => {
      const { programs } = await session.call<Loaded>("program/load", LOAD);
      const programId = programs[0]?.record.program_id;
      const attach = { kind: "tracepoint", tracepoint: TRACEPOINT };
      const { record } = await session.call<Attached>("link/attach", { programId, attach });
      await session.call("link/detach", { linkId: record.id });
      await session.call("program/unload", { programId });
    }),
    subject("by four commands", async () => {
      const load = ["load", "file", "--path", OBJECT, "--programs", "tracepoint:count_openat"];
      const id = String(json<Loaded>(...load).programs[0]?.record.program_id);
      const { record } = json<Attached>("attach", id, "tracepoint", "--tracepoint", TRACEPOINT);
      json("detach", String(record.id));
      json("unload", id);
    }),
  ];
  await takeTurns(subjects, LIVES);
  print("Load, attach, detach, unload", subjects);
  await session.end();
}

/** What must not wait for the verifier, while it works. */
async function benchVerification(env: Env): Promise<void> {
  const subjects = ["version", "program/list", "cancel the load", "SIGTERM, until the server has ended"].map((name) =>
    subject(name, async () => {}),
  );
  const [version, list, cancel, terminate] = subjects as [Subject, Subject, Subject, Subject];
  async function time({ times }: Subject, run: () => Promise<unknown>): Promise<void> {
    const beganMs = performance.now();
    await run();
    times.push(performance.now() - beganMs);
  }
  for (let round = 0; round < VERIFICATIONS; round++) {
    const session = await startSession(env);
    let load = session.call("program/load", LOAD_SLOW).catch(() => {});
    await Bun.sleep(VERIFYING_MS);
    // Nothing else may be sent before the load is cancelled: it is the last request.
    await time(cancel, async () => {
      session.cancel();
      await load;
    });
    load = session.call("program/load", LOAD_SLOW).catch(() => {});
    await Bun.sleep(VERIFYING_MS);
    for (let request = 0; request < READS; request++) {
      await time(version, () => session.call("version", { features: false }));
      await time(list, () => session.call("program/list", {}));
    }
    await time(terminate, () => session.terminate());
  }
  print("While the kernel verifies a program for seconds", subjects);
}

async function benchMemory(env: Env): Promise<void> {
  const session = await startSession(env);
  const ask = async (count: number): Promise<void> => {
    for (let asked = 0; asked < count; asked += 100) {
      await Promise.all(Array.from({ length: 100 }, () => session.call("version", { features: false })));
    }
  };
  console.log("\nResident memory of one session");
  let asked = 0;
  for (const count of [0, 0.01, 0.25, 0.5, 1].map((share) => share * LEAK_REQUESTS)) {
    await ask(count - asked);
    asked = count;
    console.log(`after ${String(count).padStart(6)} requests${session.residentMiB.toFixed(1).padStart(10)} MiB`);
  }
  await session.end();
}

const directory = realpathSync(mkdtempSync(join(tmpdir(), "bpfman-bench-rpc-")));
const env = (name: number | string): Env => ({
  BPFMAN_RUNTIME_DIR: join(directory, `run-${name}`),
  BPFMAN_STATE_DIR: "",
});
try {
  await benchSpawn(env("spawn"));
  await benchRequests(env);
  await benchLife(env("life"));
  await benchVerification(env("verification"));
  await benchMemory(env("memory"));
} finally {
  removeTree(directory);
}
