/**
 * The crash walk: each writing operation is hit at each system call that has an effect, once by SIGKILL and once by an
 * error. Then a read and a write succeed, rows, pins and kernel agree, and what ran before runs. By itself, this takes
 * some of these points; `bun run test:crash` takes all, and prints a table of them.
 */
import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism, release } from "node:os";
import { resolve } from "node:path";
import { buildBpf } from "../../scripts/build-bpf.ts";
import { OPERATIONS } from "../../src/service/operations.ts";
import { cgroupLab } from "../labs/cgroup-lab.ts";
import { wire } from "../labs/chain-lab.ts";
import { Lane, type Ended, type Picture, SCENARIOS, type Scenario } from "../labs/crash-scenarios.ts";
import { everyPoint, momentsIn, type Point, somePoints, tracerFor, wasHit } from "../labs/crash-walk.ts";
import { executable } from "../labs/executable.ts";
import { workload } from "../labs/workload.ts";
import { randomFrom } from "../objects/damage.ts";
import { putLife } from "../servers/put-bytecode.ts";
import { startRegistry, type TestRegistry } from "../servers/registry.ts";

buildBpf();
/** How many points of each scenario: a number, or `all`. */
const POINTS = process.env.BPFMAN_CRASH ?? "8";
const ALL = POINTS === "all";
/** Whether this is more than a test among others, so that its figures are kept and shown. */
const REPORT = process.env.BPFMAN_CRASH !== undefined;
const SEED = Number(process.env.BPFMAN_CRASH_SEED ?? Math.floor(Math.random() * 2 ** 32));
/** More of the same say no more. */
const FAULTS_MAX = 10;
const LIMIT_MS = REPORT ? 5 * 60 * 60_000 : 10 * 60_000;
const RESULTS = resolve(import.meta.dir, `../../dist/crash/${release()}`);

let registry: Promise<TestRegistry> | null = null;
let image: Promise<string> | null = null;
/** On a registry that is there as soon as somebody wants it. */
function imageName(): Promise<string> {
  registry ??= startRegistry();
  image ??= registry.then((there) => putLife(there, "life:1"));
  return image;
}
afterAll(async () => (await registry)?.close());

const LANES = Math.min(2, availableParallelism());
const cgroups = cgroupLab();
const lanes = Array.from(
  { length: LANES },
  (_, number) =>
    new Lane({
      bpfman: executable({ inProcess: true }),
      wire: wire(),
      work: workload(`-${number}`),
      cgroups,
      image: imageName,
    }),
);
// Nothing here is signed, which would be said of each image that is pulled.
beforeEach(() => {
  for (const { bpfman } of lanes) bpfman.env.BPFMAN_LOG = "error";
});

/** A row of the table. */
interface Walked {
  readonly moments: number;
  killed: number;
  failed: number;
  /** Errors from which the command found a way by itself. */
  overcome: number;
  /** Calls that did not come: how often SQLite syncs may differ. */
  readonly missed: string[];
  readonly faults: string[];
}

async function victim(scenario: Scenario, lane: Lane, point: Point | null): Promise<Ended> {
  const tracer = tracerFor(lane.bpfman.path("trace"), point);
  if (scenario.run !== undefined) return scenario.run(lane, tracer);
  const words = [...lane.bpfman.command(...(await scenario.words(lane))), "--error-format", "json"];
  const env = { PATH: process.env.PATH ?? "", ...lane.bpfman.env };
  const child = Bun.spawn([...tracer, ...words], { env, stdio: ["ignore", "ignore", "pipe"] });
  const [error, code] = await Promise.all([child.stderr.text(), child.exited]);
  return { code: child.signalCode === null ? code : 137, error };
}

async function prepare(scenario: Scenario, lane: Lane): Promise<void> {
  await lane.clear(scenario.untouched === true);
  await scenario.prepare(lane);
}

async function undo(scenario: Scenario, lane: Lane): Promise<void> {
  if (scenario.undo === undefined) await prepare(scenario, lane);
  else await scenario.undo(lane);
}

interface Pictures {
  readonly before: Picture;
  readonly after: Picture;
}

const isPart = (part: readonly string[], whole: readonly string[]): boolean =>
  part.every((each) => whole.includes(each));
const same = (a: unknown, b: unknown): boolean => Bun.deepEquals(a, b);

/** What is wrong after the command ended like that; the state that it is in. */
async function check(
  scenario: Scenario,
  lane: Lane,
  { before, after }: Pictures,
  ended: Ended & { readonly hit: boolean },
): Promise<Picture> {
  const killed = ended.code === 137;
  if (!killed) {
    // An error of a call that only reads is one that the kernel never gives there.
    expect(ended.error).not.toMatch(ended.hit ? /INTERNAL|^ +at .*:\d+/m : /^ +at .*:\d+/m);
    expect([0, 1, 3, 4, 5, 10, 130]).toContain(ended.code);
  }
  const partly = scenario.interrupted === "partly" && ended.code !== 0;
  const runs = await lane.running();
  const possible = (now: readonly string[]): boolean =>
    same(now, scenario.before) || same(now, scenario.after) || (partly && isPart(now, scenario.before));
  expect({ runs, as: possible(runs) ? "before or after" : "neither" }).toEqual({ runs, as: "before or after" });
  // A removal that cannot go back says what is left to do.
  const halfway = !killed && ended.code !== 0 && scenario.interrupted === "after" && !same(runs, scenario.before);
  if (halfway) expect(ended.error).toMatch(/not finished: |LINK_STILL_HELD/);
  if (scenario.finish === undefined) {
    await lane.bpfman.ask("program/list", {});
    await lane.change();
  } else {
    expect([0, 5]).toContain((await lane.bpfman.run("list", "programs")).code);
    await scenario.finish(lane);
  }
  expect((await lane.bpfman.ask("doctor", {})).findings).toEqual([]);
  const now = await lane.picture();
  if (scenario.finish !== undefined && same(now, after)) return now;
  const maybeBefore = ended.code !== 0 || same(before, after);
  // What fails elsewhere may be its answer.
  const maybeAfter = ended.code === 0 || killed || !ended.hit || scenario.interrupted === "after";
  if ((maybeBefore && same(now, before)) || (maybeAfter && same(now, after))) return now;
  const parts = ["programs", "links", "entries"] as const;
  if (partly && parts.every((part) => isPart(now[part], before[part]))) return now;
  expect({ ended, now }).toEqual({ ended, now: ended.code === 0 ? after : before });
  return now;
}

const nameOf = ({ injection, moment }: Point): string =>
  `${injection} at ${moment.line.slice(0, 160)} (${moment.number})`;

async function walk(scenario: Scenario): Promise<Walked> {
  const [first] = lanes;
  if (first === undefined) throw new Error("no lane");
  const pictures = await Promise.all(lanes.map((lane) => prepare(scenario, lane).then(() => lane.picture())));
  const [before] = pictures as [Picture];
  for (const each of pictures) expect(each).toEqual(before);
  expect(before.running).toEqual(scenario.before);
  // The first time, some things may be made that stay.
  if (scenario.untouched !== true) {
    expect(await victim(scenario, first, null)).toMatchObject({ code: 0 });
    await undo(scenario, first);
  }
  expect(await victim(scenario, first, null)).toMatchObject({ code: 0 });
  const moments = momentsIn(first.bpfman.path("trace"));
  const after = await first.picture();
  expect(after.running).toEqual(scenario.after);
  await undo(scenario, first);
  expect(await first.picture()).toEqual(before);

  const every = everyPoint(moments);
  const points = ALL ? every : somePoints(every, Number(POINTS), randomFrom(SEED + SCENARIOS.indexOf(scenario)));
  const walked: Walked = { moments: moments.length, killed: 0, failed: 0, overcome: 0, missed: [], faults: [] };
  const waiting = [...points];
  // One that gives up must not leave the other to go on in the next test.
  const ends = await Promise.allSettled(
    lanes.map(async (lane) => {
      for (let point = waiting.shift(); point !== undefined; point = waiting.shift()) {
        const ended = await victim(scenario, lane, point);
        const hit = wasHit(lane.bpfman.path("trace"));
        if (!hit) walked.missed.push(nameOf(point));
        else if (ended.code === 137) walked.killed++;
        else if (ended.code === 0) walked.overcome++;
        else walked.failed++;
        try {
          const now = await check(scenario, lane, { before, after }, { ...ended, hit });
          if (scenario.untouched === true || !same(now, before)) await undo(scenario, lane);
        } catch (thrown) {
          walked.faults.push(`${nameOf(point)}: ${thrown instanceof Error ? thrown.message : thrown}`);
          if (REPORT) console.log(`${scenario.name}: ${walked.faults.at(-1)}`);
          if (walked.faults.length > FAULTS_MAX) waiting.splice(0);
          await prepare(scenario, lane);
        }
      }
    }),
  );
  for (const end of ends) if (end.status === "rejected") throw end.reason;
  await Promise.all(lanes.map((lane) => lane.clear(true)));
  return walked;
}

describe(`the crash walk (${ALL ? "all points" : `BPFMAN_CRASH_SEED=${SEED}`})`, () => {
  for (const scenario of SCENARIOS) {
    const { name, obstacle } = scenario;
    if (obstacle !== null) {
      test.skip(`${name} (skipped: ${obstacle})`, () => {});
      continue;
    }
    test(
      name,
      async () => {
        const began = performance.now();
        const walked = await walk(scenario);
        const seconds = Math.round((performance.now() - began) / 1000);
        if (REPORT) {
          mkdirSync(RESULTS, { recursive: true });
          const order = String(SCENARIOS.indexOf(scenario)).padStart(3, "0");
          writeFileSync(`${RESULTS}/${order}.json`, JSON.stringify({ name, ...walked, seconds }));
          console.log(
            `${name}: ${JSON.stringify({ ...walked, missed: walked.missed.length, faults: walked.faults.length, seconds })}`,
          );
        }
        expect(walked.faults).toEqual([]);
        // Some may not come: of those of a pull, the threads share the work differently each time, and of a removal, the kernel
        // is asked more or less often whether the object is gone. A sample can have many of them.
        const hit = walked.killed + walked.failed + walked.overcome;
        expect(hit).toBeGreaterThan((hit + walked.missed.length) * (ALL ? 0.5 : 0.2));
      },
      LIMIT_MS,
    );
  }
});

test("no writing operation is left out", () => {
  const writing = Object.entries(OPERATIONS).flatMap(([name, { access }]) => (access === "write" ? name : []));
  const walked = new Set<string>(SCENARIOS.map(({ operation }) => operation));
  expect([...writing, "image/pull"].filter((name) => !walked.has(name))).toEqual([]);
});

/** The table of all that was ever walked on this kernel. */
afterAll(() => {
  if (!REPORT) return;
  const rows = readdirSync(RESULTS)
    .sort()
    .map((name): Walked & { name: string } => JSON.parse(readFileSync(`${RESULTS}/${name}`, "utf8")));
  console.log(`\n| operation, on Linux ${release()} | calls | killed | refused | overcome | missed | faults |`);
  console.log("|---|--:|--:|--:|--:|--:|--:|");
  for (const { name, moments, killed, failed, overcome, missed, faults } of rows) {
    console.log(`| ${name} | ${moments} | ${killed} | ${failed} | ${overcome} | ${missed.length} | ${faults.length} |`);
  }
});
