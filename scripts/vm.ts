/**
 * Runs the kernel tests, or a command, on real kernels in virtual machines: as many at once as there are processors, and
 * one with another processor besides if its tests are brief.
 *
 *   bun run test:vm                     the oldest and the newest kernel, and briefly arm64, as npm test does
 *   bun run test:vm --all               every kernel of the matrix, with the slow tests
 *   bun run test:vm 6.12                one of them, with the slow tests
 *   bun run test:vm arm64               another processor, on a Debian of its own: the demo, and all but the slow tests
 *   bun run test:vm 6.1 -- COMMAND…     a command instead of the tests
 */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { bunFor, packageForOther, type Processor } from "./bun-for.ts";
import { BEGIN_MARK, boot, missingTool, signOfLife } from "./vm/boot.ts";
import { fetchKernel, KERNELS, kernelNamed, rootFor, type UnpackedKernel } from "./vm/kernels.ts";
import { run } from "./vm/run.ts";

const ROOT = join(import.meta.dir, "..");
/** Limits for the script of a machine: on a busy host, the tests take ten minutes, the slow ones half an hour more. */
const TIMEOUT_MS = 40 * 60_000;
const LONG_TIMEOUT_MS = 120 * 60_000;
const DEFAULT_KERNELS = ["arm64", "6.1", "newest"];
/** Modules that the tests' networks need; harmless on kernels that have them built in. */
const MODULES = ["veth", "sch_ingress", "cls_bpf", "cls_u32", "act_bpf", "dummy", "bridge", "nf_defrag_ipv4"];

/** Run in the guest if no command is given. scripts/test.ts reads their last line, `N passed, N failed`. */
const BUN = join(ROOT, "node_modules/.bin/bun");
const RINGS = [BUN, "scripts/test.ts", "--rings-only"];
const TESTS = [...RINGS, "contract", "machine-kernel", "machine"];
/** On another processor, first the demo: it runs what a newcomer runs. */
const DEMO = ["sh", "-c", '"$1" scripts/demo.ts && exec "$@"', "sh"];

/** What `npm test` runs: on another processor only a minute's work. */
const briefTests = ({ name, processor }: UnpackedKernel): readonly string[] =>
  processor === process.arch ? [...TESTS, `machine-${name}`] : [...DEMO, ...RINGS, "machine-processor"];

/** Everything, and as often as it should be (test/labs/brief.ts). */
const longTests = ({ processor }: UnpackedKernel): readonly string[] => {
  const long = ["env", "BPFMAN_TEST_LONG=1"];
  if (processor !== process.arch) return [...long, ...DEMO, ...RINGS, "unit", "contract", "kernel", "machine"];
  return [...long, ...TESTS, "machine-6.1", "machine-newest", "machine-long"];
};

const quote = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;

interface Job {
  readonly command: (kernel: UnpackedKernel) => readonly string[];
  readonly timeoutMs: number;
}

/** The repository of a worktree, which is outside of it: some tests list the files in git. */
function gitDirectory(): readonly string[] {
  const asked = Bun.spawnSync(["git", "-C", ROOT, "rev-parse", "--path-format=absolute", "--git-common-dir"]);
  const path = asked.stdout.toString().trim();
  return asked.exitCode !== 0 || path.startsWith(`${ROOT}/`) ? [] : [path];
}

/** Tools of the tests that are executables, in packages of npm for each processor. */
const toolsFor = (processor: Processor): readonly string[] => [
  `@biomejs/cli-linux-${processor}`,
  `@bufbuild/buf-linux-${processor === "arm64" ? "aarch64" : processor}`,
  `@typescript/typescript-linux-${processor}`,
];

/** What the guest has of dist and node_modules, and in this machine's the places for it. */
function buildFor(processor: Processor): void {
  for (const name of toolsFor(processor)) {
    packageForOther(name);
    mkdirSync(join(ROOT, "node_modules", name), { recursive: true });
  }
  run([BUN, "scripts/build.ts"], ROOT);
  for (const script of ["build", "build-bpf"]) run([BUN, `scripts/${script}.ts`, `--arch=${processor}`], ROOT);
}

/** In the guest, what is for its processor takes the place of what is for this machine's. */
function replacements({ processor }: UnpackedKernel): readonly string[] {
  if (processor === process.arch) return [];
  const pairs = [
    [bunFor(processor), realpathSync(BUN)],
    ...["bpfman", "bpf"].map((name) => [join(ROOT, "dist", processor, name), join(ROOT, "dist", name)] as const),
    ...toolsFor(processor).map((name) => [packageForOther(name), join(ROOT, "node_modules", name)] as const),
  ];
  // Under that name, Bun runs the scripts that start these tools.
  const node = `mkdir -p /run/node && ln -s ${quote(BUN)} /run/node/node && export PATH="$PATH":/run/node`;
  return ["ldconfig", node, ...pairs.map((pair) => `mount --bind ${pair.map(quote).join(" ")} || exit 1`)];
}

function scriptFor(kernel: UnpackedKernel, path: string, { command }: Job): string {
  const modules = MODULES.map((name) => `modprobe -d ${quote(kernel.root)} ${name} 2>/dev/null || true`);
  return [
    `echo "${BEGIN_MARK} $(uname -r)"`,
    `(while :; do echo >${quote(signOfLife(path))}; sleep 20; done) &`,
    `cd ${quote(ROOT)}`,
    ...replacements(kernel),
    ...modules,
    `export PATH=${quote(join(ROOT, "node_modules/.bin"))}:"$PATH"`,
    `export BPFMAN_TEST_KERNEL=${quote(kernel.name)}`,
    command(kernel).map(quote).join(" "),
  ].join("\n");
}

/**
 * Boots the kernel and runs the job. If the machine dies, restarts it once and says so: the emulation is not perfect. A
 * failed test is never rerun.
 */
async function runOn(kernel: UnpackedKernel, job: Job, signal: AbortSignal): Promise<number> {
  mkdirSync(join(ROOT, "dist"), { recursive: true });
  const directory = mkdtempSync(join(ROOT, "dist/vm-"));
  const script = join(directory, "script.sh");
  writeFileSync(script, scriptFor(kernel, script, job));
  const root = rootFor(kernel.processor);
  const directories = [ROOT, kernel.root, ...(root === "/" ? [] : gitDirectory())];
  const print = (line: string) => void process.stdout.write(`[${kernel.name}] ${line}\n`);
  try {
    for (let attempt = 1; ; attempt++) {
      const result = await boot(kernel, { root, script, directories, timeoutMs: job.timeoutMs, print, signal });
      if (signal.aborted) return 130;
      if (result.status !== null) return result.status;
      const again = result.died && attempt === 1;
      print(`vm: ${result.reason}${again ? "; restarting the machine once" : ""}`);
      if (!again) return 1;
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

const words = process.argv.slice(2);
const border = words.indexOf("--");
const before = border < 0 ? words : words.slice(0, border);
const named = before.filter((word) => word !== "--all");
const all = before.includes("--all");
const long = all || named.length > 0;
const job: Job = {
  command: (kernel) => (border >= 0 ? words.slice(border + 1) : long ? longTests(kernel) : briefTests(kernel)),
  timeoutMs: long ? LONG_TIMEOUT_MS : TIMEOUT_MS,
};
const interrupted = new AbortController();
for (const name of ["SIGINT", "SIGTERM"] as const) process.on(name, () => interrupted.abort());

async function measure(kernel: UnpackedKernel): Promise<number> {
  const startedAt = performance.now();
  const status = await runOn(kernel, job, interrupted.signal);
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(0);
  process.stdout.write(`[${kernel.name}] vm: ${kernel.release} ended with ${status} after ${seconds} s\n`);
  return status;
}

try {
  if (/\s/.test(ROOT))
    throw new Error(`the path "${ROOT}" contains spaces, which a kernel command line cannot express`);
  const sources = all ? KERNELS : (named.length > 0 ? named : DEFAULT_KERNELS).map(kernelNamed);
  const processors = [...new Set(sources.map(({ processor }) => processor))];
  const missing = missingTool(processors);
  if (missing !== null) throw new Error(`${missing} is missing: on Debian, "scripts/setup test" installs it`);
  // The emulation keeps about one processor busy per machine.
  const waiting = sources.map(fetchKernel);
  // Before any machine runs, which would look dead meanwhile.
  for (const processor of processors.filter((each) => each !== process.arch)) {
    rootFor(processor);
    buildFor(processor);
  }
  const statuses: number[] = [];
  const work = async () => {
    for (let kernel = waiting.shift(); kernel && !interrupted.signal.aborted; kernel = waiting.shift()) {
      statuses.push(await measure(kernel));
    }
  };
  const besides = long ? 0 : waiting.filter(({ processor }) => processor !== process.arch).length;
  await Promise.all(Array.from({ length: availableParallelism() + besides }, work));
  process.exitCode = interrupted.signal.aborted ? 130 : (statuses.find((status) => status !== 0) ?? 0);
} catch (cause) {
  process.stderr.write(`vm: ${cause instanceof Error ? cause.message : String(cause)}\n`);
  process.exitCode = 1;
}
