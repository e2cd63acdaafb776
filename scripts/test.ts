/**
 * `npm test`, after scripts/setup: checks format, lint and types, builds, runs every ring of tests, and then reruns
 * those that touch the kernel on other kernels, in virtual machines (ring `vm`). The last line of output is `N passed,
 * N failed`. To run only some rings, name them as arguments; `--rings-only` skips the steps before the rings.
 */
import { chmodSync, mkdtempSync, readdirSync, realpathSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { isOrphan, mountsUnder, namedNamespaces, removeNamespace, removeTree } from "./residue.ts";

const ROOT = resolve(import.meta.dir, "..");
const BIN = join(ROOT, "node_modules/.bin");
/**
 * Limits for a ring and for a single test. Tests on the real kernel wait for the kernel and for packets, so their
 * assertions are strict, but their timeouts are generous. In a virtual machine (scripts/vm.ts), everything takes many
 * times as long.
 */
const IN_MACHINE = process.env.BPFMAN_TEST_KERNEL !== undefined;
const RING_LIMIT_MS = IN_MACHINE ? 90 * 60_000 : 20 * 60_000;
const TEST_LIMIT_MS = IN_MACHINE ? 10 * 60_000 : 60_000;
/** The virtual machines have their own limits; this one leaves time to start a machine twice. */
const VM_LIMIT_MS = 90 * 60_000;
const VM_RING = "vm";

interface Ring {
  readonly name: string;
  readonly paths: readonly string[];
  readonly root: boolean;
  /** Runs only the tests whose names match. */
  readonly matching?: string;
  /** Runs only if named: a subset of another ring, selected for the virtual machines (scripts/vm.ts). */
  readonly named?: true;
}

const e2e = (name: string): string => `test/e2e/${name}.test.ts`;
const kernel = (name: string): string => `test/kernel/${name}.test.ts`;

/** Of ring `kernel`: what shows the same on every kernel. */
const SAME_EVERYWHERE: readonly string[] = ["check", "library"].map(kernel);
const kernelTests = (): string[] =>
  readdirSync(join(ROOT, "test/kernel"))
    .map((file) => `test/kernel/${file}`)
    .filter((path) => !SAME_EVERYWHERE.includes(path));

const RINGS: readonly Ring[] = [
  { name: "unit", paths: ["test/tidy.test.ts", "test/unit/"], root: false },
  { name: "fuzz", paths: ["test/fuzz/"], root: false },
  { name: "contract", paths: ["test/contract/"], root: true },
  { name: "kernel", paths: ["test/kernel/"], root: true },
  { name: "images", paths: ["test/images/"], root: true },
  { name: "e2e", paths: ["test/e2e/"], root: true },
  { name: "crash", paths: ["test/crash/"], root: true },
  // Skips what "npm run test:fleet" has not built here.
  { name: "fleet", paths: ["test/fleet/"], root: true },
  { name: "machine-kernel", paths: kernelTests(), root: true, named: true },
  {
    name: "machine",
    paths: ["chains", "chains-foreign", "kprobes", "stats-members"].map(e2e),
    root: true,
    named: true,
  },
  // What hardly depends on the kernel runs on this one, and on one of the two of ring `vm`.
  { name: "machine-6.1", paths: ["map-values", "namespaces", "places"].map(e2e), root: true, named: true },
  { name: "machine-newest", paths: ["containers", "ownership"].map(e2e), root: true, named: true },
  // On another processor, after the demo, which has TCX and a tracepoint (scripts/vm.ts).
  {
    name: "machine-processor",
    paths: [kernel("kinds")],
    matching: "^(tracepoint, raw tracepoint|two fentry)",
    root: true,
    named: true,
  },
  {
    name: "machine-long",
    paths: [
      ...SAME_EVERYWHERE,
      ...[
        "chains-killed",
        "chains-flood",
        "replace",
        "restore",
        "chains-earlier",
        "concurrency-killed",
        "doctor",
        "verification",
      ].map(e2e),
    ],
    root: true,
    named: true,
  },
];

/** Signals that end a process if the emulation executes code incorrectly. */
const CRASHES: readonly string[] = ["SIGSEGV", "SIGBUS", "SIGILL", "SIGTRAP", "SIGABRT", "SIGFPE"];

interface Tally {
  passed: number;
  failed: number;
}

const total: Tally = { passed: 0, failed: 0 };
let running: Bun.Subprocess | null = null;
let interrupted = false;

interface Ended {
  /** Null if a signal ended it. */
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly limitMs?: number;
}

/** Runs a command, passes its output on as it arrives, and returns it. */
async function run(command: readonly string[], { env = {}, limitMs = RING_LIMIT_MS }: RunOptions = {}): Promise<Ended> {
  const child = Bun.spawn([...command], {
    cwd: ROOT,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
    timeout: limitMs,
    killSignal: "SIGKILL",
  });
  running = child;
  const [stdout, stderr] = await Promise.all([
    passOn(child.stdout, process.stdout),
    passOn(child.stderr, process.stderr),
    child.exited,
  ]);
  running = null;
  const signal = child.signalCode === null ? null : String(child.signalCode);
  return { code: signal === null ? child.exitCode : null, signal, stdout, stderr };
}

async function passOn(stream: ReadableStream<Uint8Array>, to: NodeJS.WriteStream): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of stream) {
    to.write(chunk);
    text += decoder.decode(chunk, { stream: true });
  }
  return text;
}

function report(name: string, lines: { readonly failures: readonly string[]; readonly note: string }): void {
  const verdict = lines.failures.length === 0 ? "ok" : "FAILED";
  console.log(`${name.padEnd(10)}${verdict.padEnd(8)}${[...lines.failures, lines.note].join("; ")}`);
}

async function step(name: string, command: readonly string[]): Promise<void> {
  if (interrupted) return;
  const startedAt = performance.now();
  const { code } = await run(command);
  if (code !== 0) total.failed++;
  const note = `${((performance.now() - startedAt) / 1000).toFixed(1)} s`;
  report(name, { failures: code === 0 ? [] : [`exit code ${code ?? "by signal"}`], note });
}

/**
 * The closing lines of `bun test`, such as ` 12 pass`; null if there are none (the runner crashed). They count a file
 * that cannot be loaded as a failure; the JUnit report does not.
 */
function readSummary(stderr: string): (Tally & { readonly skipped: number }) | null {
  const closing = [...stderr.matchAll(/^ (\d+) pass\n((?: .*\n)*)Ran \d+ tests? across/gm)].at(-1);
  if (closing === undefined) return null;
  const [, passed, others = ""] = closing;
  const count = (word: string) => Number(new RegExp(`^ (\\d+) ${word}$`, "m").exec(others)?.[1] ?? "0");
  return { passed: Number(passed), failed: count("fail"), skipped: count("skip") + count("todo") };
}

async function runRing(ring: Ring): Promise<void> {
  const startedAt = performance.now();
  // Whatever the tests mount or write goes below this directory, so that it can be checked and removed here.
  const directory = realpathSync(mkdtempSync(join(tmpdir(), `bpfman-${ring.name}-`)));
  // Some tests run the executable as an unprivileged user, who must be able to enter this directory.
  chmodSync(directory, 0o711);
  const namespaces = new Set(namedNamespaces());
  const failures: string[] = [];
  try {
    const paths = ring.paths.map((path) => `./${path}`);
    const command = [
      join(BIN, "bun"),
      "test",
      "--only-failures",
      "--no-orphans",
      `--timeout=${TEST_LIMIT_MS}`,
      ...(ring.matching === undefined ? [] : ["-t", ring.matching]),
      ...paths,
    ];
    let ended = await run(command, { env: { TMPDIR: directory } });
    if (IN_MACHINE && ended.signal !== null && CRASHES.includes(ended.signal)) {
      console.log(`${ring.name}: ${ended.signal} ended the test runner under emulation; running the ring once more`);
      ended = await run(command, { env: { TMPDIR: directory } });
    }
    const { code, stderr } = ended;
    const sums = readSummary(stderr);
    total.passed += sums?.passed ?? 0;
    if (sums !== null && sums.failed > 0) failures.push(`${sums.failed} failed`);
    else if (code !== 0)
      failures.push(`the test runner ended ${code === null ? "by a signal" : `with exit code ${code}`}`);
    else if (sums === null || sums.passed === 0) failures.push("no test ran");
    if (!interrupted && mountsUnder(directory).length > 0)
      failures.push(`left mounted: ${mountsUnder(directory).join(", ")}`);
    const left = namedNamespaces().filter((name) => !namespaces.has(name) && isOrphan(name));
    if (!interrupted && left.length > 0) failures.push(`left network namespaces: ${left.join(", ")}`);
    left.forEach(removeNamespace);
    total.failed += Math.max(sums?.failed ?? 0, failures.length);
    const skipped = sums !== null && sums.skipped > 0 ? `, ${sums.skipped} skipped` : "";
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
    report(ring.name, { failures, note: `${sums?.passed ?? 0} tests passed${skipped} in ${seconds} s` });
  } finally {
    removeTree(directory);
  }
}

/**
 * Runs the kernel's rings in virtual machines. For each machine, scripts/vm.ts passes on the closing line of this script
 * and reports how the machine ended: `[6.1] 12 passed, 0 failed`, `[6.1] vm: 6.1.0-50-amd64 ended with 0 after 200 s`.
 */
async function runMachines(): Promise<void> {
  const { code, stdout } = await run([join(BIN, "bun"), "scripts/vm.ts"], { limitMs: VM_LIMIT_MS });
  const machines = [...stdout.matchAll(/^\[(\S+)\] vm: (\S+) ended with (\d+) after (\d+) s$/gm)];
  let failed = 0;
  for (const [, kernel = "", release, status, seconds] of machines) {
    const lines = stdout.split("\n").filter((line) => line.startsWith(`[${kernel}] `));
    const sums = [...lines.join("\n").matchAll(/^\[\S+\] (\d+) passed, (\d+) failed$/gm)].at(-1) ?? null;
    const failures: string[] = [];
    if (sums === null) failures.push(`no test ended, exit code ${status}`);
    else if (sums[2] !== "0") failures.push(`${sums[2]} failed`);
    else if (status !== "0") failures.push(`exit code ${status}`);
    total.passed += Number(sums?.[1] ?? 0);
    failed += Math.max(Number(sums?.[2] ?? 0), failures.length);
    report(`vm ${kernel}`, { failures, note: `${sums?.[1] ?? 0} tests passed in ${seconds} s on Linux ${release}` });
  }
  if (code !== 0 && failed === 0) {
    failed = 1;
    report(VM_RING, { failures: [`exit code ${code ?? "by signal"}`], note: `${machines.length} machines ended` });
  }
  total.failed += failed;
}

async function runAll(names: readonly string[], ringsOnly: boolean): Promise<void> {
  if (!ringsOnly) {
    await step("style", [join(BIN, "biome"), "check", "--error-on-warnings", "."]);
    await step("types", [join(BIN, "tsc"), "-p", "."]);
    // With only the types of the editor and Node.js, because the extension must not use Bun.
    await step("types", [join(BIN, "tsc"), "-p", "examples/vscode"]);
    await step("build", [join(BIN, "bun"), "scripts/build.ts"]);
  }
  const wanted = (name: string, byDefault: boolean) =>
    !interrupted && (names.length === 0 ? byDefault : names.includes(name));
  for (const ring of RINGS) if (wanted(ring.name, ring.named !== true)) await runRing(ring);
  if (wanted(VM_RING, true)) await runMachines();
}

function interrupt(signal: "SIGINT" | "SIGTERM"): void {
  interrupted = true;
  running?.kill(signal);
}

const ringsOnly = process.argv.includes("--rings-only");
const names = process.argv.slice(2).filter((word) => word !== "--rings-only");
const known = [...RINGS.map((ring) => ring.name), VM_RING];
const unknown = names.find((name) => !known.includes(name));
const needRoot = new Set([VM_RING, ...RINGS.filter((ring) => ring.root).map((ring) => ring.name)]);
if (unknown !== undefined) {
  console.error(`test: unknown ring "${unknown}"; the rings are ${known.join(", ")}`);
  process.exitCode = 2;
} else if (process.getuid?.() !== 0 && (names.length === 0 || names.some((name) => needRoot.has(name)))) {
  console.error('test: the tests on the real kernel need root: run "sudo npm test" (or "bun run check" without root)');
  process.exitCode = 1;
} else {
  process.on("SIGINT", () => interrupt("SIGINT"));
  process.on("SIGTERM", () => interrupt("SIGTERM"));
  await runAll(names, ringsOnly);
  if (interrupted) total.failed++;
  console.log(`${total.passed} passed, ${total.failed} failed`);
  process.exitCode = interrupted ? 130 : total.failed === 0 ? 0 : 1;
}
