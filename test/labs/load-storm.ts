/** Damaged object files, loaded in processes of their own (load-storm-process.ts): a crash there is a finding here. */
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";

export const KERNEL_FUNCTION = "security_task_getpgid";
export const LSM_HOOK = "task_getpgid";

const PROCESS = join(import.meta.dir, "load-storm-process.ts");
/** One process for so many rounds: what libbpf damaged in memory should show while it is known who did it. */
const ROUNDS_PER_PROCESS = 100;
const PROCESS_LIMIT_MS = 300_000;

export interface LoadStorm {
  readonly runtimeDir: string;
  /** For the damaged file and the number of the round. */
  readonly directory: string;
  readonly objects: readonly string[];
  readonly seed: number;
  /** Stops between two processes when this time is over. */
  readonly milliseconds: number;
}

export interface LoadStormResult {
  rounds: number;
  /** Rounds that ended a process, with how. */
  readonly crashes: string[];
  readonly counts: Record<string, number>;
}

/** Runs the rounds; a process that dies is started again behind the round that it died in. */
export async function loadStorm(storm: LoadStorm): Promise<LoadStormResult> {
  const { runtimeDir, directory, objects, seed } = storm;
  const result: LoadStormResult = { rounds: 0, crashes: [], counts: {} };
  const end = performance.now() + storm.milliseconds;
  const roundFile = join(directory, "round");
  for (let from = 0; performance.now() < end; ) {
    const to = from + ROUNDS_PER_PROCESS;
    rmSync(roundFile, { force: true });
    const command = [
      process.execPath,
      PROCESS,
      runtimeDir,
      directory,
      String(seed),
      String(from),
      String(to),
      ...objects,
    ];
    const child = Bun.spawn(command, {
      stdio: ["ignore", "pipe", "pipe"],
      timeout: PROCESS_LIMIT_MS,
      killSignal: "SIGKILL",
    });
    const [out, error] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
    if (child.exitCode === 0) {
      add(result.counts, JSON.parse(out));
      from = to;
    } else {
      const round = existsSync(roundFile) ? Number(readFileSync(roundFile, "utf8")) : from;
      const how = child.signalCode ?? `exit code ${child.exitCode}`;
      result.crashes.push(`seed ${seed}, round ${round}: ${how}: ${reasonIn(error)}`);
      from = round + 1;
    }
    result.rounds = from;
  }
  return result;
}

const reasonIn = (error: string): string =>
  error.match(/^.*(panic|Error|error:|free|corrupt).*$/m)?.[0] ?? error.slice(0, 200);

function add(into: Record<string, number>, counts: Record<string, unknown>): void {
  for (const [name, count] of Object.entries(counts)) {
    if (typeof count === "number") into[name] = (into[name] ?? 0) + count;
    else add(into, count as Record<string, unknown>);
  }
}
