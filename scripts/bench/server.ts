/** Measures requests to one warm session of the JSON-RPC server: their time, and the processor time of its processes. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Env, MEMBERS } from "./measure.ts";
import { type Peer, startSession } from "./session.ts";

const LISTED = 100;
const PER_LOAD = 50;

export interface Costs {
  readonly name: string;
  /** One per request. */
  readonly wallMs: number[];
  readonly cpuMs: number[];
}

interface Program {
  readonly record: { readonly program_id: number };
}

/** Processor time of a process and its children so far, in milliseconds. Threads that have ended are left out. */
function processorMs(pid: number): number {
  let ns = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const path = `/proc/${pid}/task/${thread}`;
    ns += Number(readFileSync(`${path}/schedstat`, "utf8").split(" ")[0]);
    for (const child of readFileSync(`${path}/children`, "utf8").split(" ")) {
      if (child !== "") ns += processorMs(Number(child)) * 1e6;
    }
  }
  return ns / 1e6;
}

/** Calls each `count` times, after a tenth of that to warm up. */
export async function serverCosts(directory: string, count: number): Promise<readonly Costs[]> {
  const env = (name: string): Env => ({ BPFMAN_RUNTIME_DIR: join(directory, `server-${name}`) });
  const costs = new Map<string, Costs>();
  const keep = (name: string, wallMs: number, cpuMs: number): void => {
    const of = costs.get(name) ?? { name, wallMs: [], cpuMs: [] };
    costs.set(name, of);
    of.wallMs.push(wallMs);
    of.cpuMs.push(cpuMs);
  };
  const warm = Math.ceil(count / 10);

  async function timed<T>(session: Peer, what: () => Promise<T>) {
    const [wall, cpu] = [performance.now(), processorMs(session.pid)];
    const answer = await what();
    const wallMs = performance.now() - wall;
    return { answer, wallMs, cpuMs: processorMs(session.pid) - cpu };
  }

  const session = await startSession(env("life"));
  for (let turn = -warm; turn < count; turn++) {
    const load = await timed(session, () =>
      session.call<{ readonly programs: readonly Program[] }>("program/load", {
        source: { file: MEMBERS },
        programs: [{ type: "tcx", name: "tc_10" }],
      }),
    );
    const programId = load.answer.programs[0]?.record.program_id;
    const attach = await timed(session, () =>
      session.call<{ readonly record: { readonly id: number } }>("link/attach", {
        programId,
        attach: { kind: "tcx", iface: "bench0", direction: "ingress", priority: 50 },
      }),
    );
    const detach = await timed(session, () => session.call("link/detach", { linkId: attach.answer.record.id }));
    const unload = await timed(session, () => session.call("program/unload", { programId }));
    if (turn < 0) continue;
    const steps = Object.entries({ load, attach, detach, unload });
    for (const [name, { wallMs, cpuMs }] of steps) keep(name, wallMs, cpuMs);
    const sum = (what: "wallMs" | "cpuMs"): number => steps.reduce((total, [, step]) => total + step[what], 0);
    keep("TCX cycle: all four", sum("wallMs"), sum("cpuMs"));
  }
  await session.end();

  const listing = await startSession(env("list"));
  const programs = Array.from({ length: PER_LOAD }, (_, index) => ({ type: "tcx", name: `tc_${10 + index}` }));
  for (let loaded = 0; loaded < LISTED; loaded += PER_LOAD) {
    await listing.call("program/load", { source: { file: MEMBERS }, programs });
  }
  for (let turn = -warm; turn < count; turn++) {
    const list = await timed(listing, () => listing.call("program/list", {}));
    if (turn >= 0) keep(`list, ${LISTED} programs`, list.wallMs, list.cpuMs);
  }
  await listing.end();
  return [...costs.values()];
}
