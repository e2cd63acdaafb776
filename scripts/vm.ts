/**
 * Runs the tests of the kernel, or a command, on real kernels in virtual machines, as many at once as there are processors.
 *
 *   bun run test:vm                     the oldest and the newest kernel
 *   bun run test:vm --all               every kernel of the matrix
 *   bun run test:vm 6.12                one of them
 *   bun run test:vm 6.1 -- COMMAND…     a command instead of the tests
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { BEGIN_MARK, boot } from "./vm/boot.ts";
import { fetchKernel, KERNELS, type KernelSource, type UnpackedKernel } from "./vm/kernels.ts";

const ROOT = join(import.meta.dir, "..");
const TIMEOUT_MS = 30 * 60_000;
const DEFAULT_KERNELS = ["6.1", "newest"];
/** Modules that the tests' networks need; kernels that have them built in take no harm. */
const MODULES = ["veth", "sch_ingress", "cls_bpf", "cls_u32", "act_bpf", "dummy", "bridge"];

/** What runs in the guest when no command is given. Its last line, `N passed, N failed`, is read by scripts/test.ts. */
const TESTS = [process.execPath, "scripts/test.ts", "--rings-only", "kernel", "contract", "e2e"];

const quote = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;

function scriptFor(kernel: UnpackedKernel, command: readonly string[]): string {
  const modules = MODULES.map((name) => `modprobe -d ${quote(kernel.root)} ${name} 2>/dev/null || true`);
  return [
    `echo "${BEGIN_MARK} $(uname -r)"`,
    `cd ${quote(ROOT)}`,
    ...modules,
    `export BPFMAN_TEST_KERNEL=${quote(kernel.name)}`,
    command.map(quote).join(" "),
  ].join("\n");
}

/** Boots and runs; a boot that died before the script began is tried once more. */
async function runOn(kernel: UnpackedKernel, command: readonly string[], signal: AbortSignal): Promise<number> {
  mkdirSync(join(ROOT, "dist"), { recursive: true });
  const folder = mkdtempSync(join(ROOT, "dist/vm-"));
  const script = join(folder, "script.sh");
  writeFileSync(script, scriptFor(kernel, command));
  const print = (line: string) => void process.stdout.write(`[${kernel.name}] ${line}\n`);
  try {
    for (let attempt = 1; ; attempt++) {
      const result = await boot(kernel, { script, timeoutMs: TIMEOUT_MS, print, signal });
      if (signal.aborted) return 130;
      if (result.status !== null) return result.status;
      if (result.began || attempt === 2) {
        print(
          result.timedOut
            ? `vm: ended after ${TIMEOUT_MS / 1000} s without an end`
            : "vm: the machine stopped before the end",
        );
        return 1;
      }
      print("vm: the boot failed; once more");
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function choose(names: readonly string[]): KernelSource[] {
  return names.map((name) => {
    const source = KERNELS.find((kernel) => kernel.name === name);
    if (!source) throw new Error(`no kernel "${name}": there are ${KERNELS.map((kernel) => kernel.name).join(", ")}`);
    return source;
  });
}

const words = process.argv.slice(2);
const border = words.indexOf("--");
const command = border < 0 ? TESTS : words.slice(border + 1);
const named = (border < 0 ? words : words.slice(0, border)).filter((word) => word !== "--all");
const all = words.slice(0, border < 0 ? words.length : border).includes("--all");
const interrupted = new AbortController();
for (const name of ["SIGINT", "SIGTERM"] as const) process.on(name, () => interrupted.abort());

async function measure(kernel: UnpackedKernel): Promise<number> {
  const startedAt = performance.now();
  const status = await runOn(kernel, command, interrupted.signal);
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(0);
  process.stdout.write(`[${kernel.name}] vm: ${kernel.release} ended with ${status} after ${seconds} s\n`);
  return status;
}

try {
  const sources = all ? KERNELS : choose(named.length > 0 ? named : DEFAULT_KERNELS);
  // The emulation keeps about one processor busy for each machine.
  const waiting = sources.map(fetchKernel);
  const statuses: number[] = [];
  const work = async () => {
    for (let kernel = waiting.shift(); kernel && !interrupted.signal.aborted; kernel = waiting.shift()) {
      statuses.push(await measure(kernel));
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
  process.exitCode = interrupted.signal.aborted ? 130 : (statuses.find((status) => status !== 0) ?? 0);
} catch (cause) {
  process.stderr.write(`vm: ${cause instanceof Error ? cause.message : String(cause)}\n`);
  process.exitCode = 1;
}
