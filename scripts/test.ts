/**
 * `npm test`, after scripts/setup: format, lint and types, the build, then every ring of tests. The last line of output
 * is `N passed, N failed`. Names of rings as arguments run those alone.
 */
import { chmodSync, mkdtempSync, realpathSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { isOrphan, mountsUnder, namedNamespaces, removeNamespace, removeTree } from "./residue.ts";

const ROOT = resolve(import.meta.dir, "..");
const BIN = join(ROOT, "node_modules/.bin");
const RING_LIMIT_MS = 20 * 60_000;
/** For one test. Real-kernel tests wait for the kernel and for packets: assertions are strict, time-outs are not. */
const TEST_LIMIT_MS = 60_000;

interface Ring {
  readonly name: string;
  readonly paths: readonly string[];
  readonly root: boolean;
}

const RINGS: readonly Ring[] = [
  { name: "unit", paths: ["test/tidy.test.ts", "test/unit/"], root: false },
  { name: "fuzz", paths: ["test/fuzz/"], root: false },
  { name: "contract", paths: ["test/contract/"], root: true },
  { name: "kernel", paths: ["test/kernel/"], root: true },
  { name: "e2e", paths: ["test/e2e/"], root: true },
];

interface Tally {
  passed: number;
  failed: number;
}

const total: Tally = { passed: 0, failed: 0 };
let running: Bun.Subprocess | null = null;
let interrupted = false;

interface Ended {
  /** Null when a signal ended it. */
  readonly code: number | null;
  readonly stderr: string;
}

/** Runs a command; what it prints is passed on as it comes, and its standard error is kept as well. */
async function run(command: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  const child = Bun.spawn([...command], {
    cwd: ROOT,
    env: { ...process.env, ...env },
    stdio: ["ignore", "inherit", "pipe"],
    timeout: RING_LIMIT_MS,
    killSignal: "SIGKILL",
  });
  running = child;
  const decoder = new TextDecoder();
  let stderr = "";
  for await (const chunk of child.stderr) {
    process.stderr.write(chunk);
    stderr += decoder.decode(chunk, { stream: true });
  }
  await child.exited;
  running = null;
  return { code: child.signalCode === null ? child.exitCode : null, stderr };
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
 * The closing lines of `bun test`, as in ` 12 pass`; null when there are none (the runner crashed). They count a file
 * that cannot be loaded as a failure, which its JUnit report leaves out.
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
  // Whatever the tests mount or write goes below this folder, so that it can be checked and removed here.
  const folder = realpathSync(mkdtempSync(join(tmpdir(), `bpfman-${ring.name}-`)));
  // Some tests run the executable as a user without rights, who must get here.
  chmodSync(folder, 0o711);
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
      ...paths,
    ];
    const { code, stderr } = await run(command, { TMPDIR: folder });
    const sums = readSummary(stderr);
    total.passed += sums?.passed ?? 0;
    if (sums !== null && sums.failed > 0) failures.push(`${sums.failed} failed`);
    else if (code !== 0)
      failures.push(`the test runner ended ${code === null ? "by a signal" : `with exit code ${code}`}`);
    else if (sums === null || sums.passed === 0) failures.push("no test ran");
    if (!interrupted && mountsUnder(folder).length > 0)
      failures.push(`left mounted: ${mountsUnder(folder).join(", ")}`);
    const left = namedNamespaces().filter((name) => !namespaces.has(name) && isOrphan(name));
    if (!interrupted && left.length > 0) failures.push(`left network namespaces: ${left.join(", ")}`);
    left.forEach(removeNamespace);
    total.failed += Math.max(sums?.failed ?? 0, failures.length);
    const skipped = sums !== null && sums.skipped > 0 ? `, ${sums.skipped} skipped` : "";
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
    report(ring.name, { failures, note: `${sums?.passed ?? 0} tests passed${skipped} in ${seconds} s` });
  } finally {
    removeTree(folder);
  }
}

async function runAll(names: readonly string[]): Promise<void> {
  await step("style", [join(BIN, "biome"), "check", "--error-on-warnings", "."]);
  await step("types", [join(BIN, "tsc"), "-p", "."]);
  await step("build", [join(BIN, "bun"), "scripts/build.ts"]);
  for (const ring of RINGS) {
    if (interrupted) return;
    if (names.length === 0 || names.includes(ring.name)) await runRing(ring);
  }
}

function interrupt(signal: "SIGINT" | "SIGTERM"): void {
  interrupted = true;
  running?.kill(signal);
}

const names = process.argv.slice(2);
const unknown = names.find((name) => !RINGS.some((ring) => ring.name === name));
const wanted = RINGS.filter((ring) => names.length === 0 || names.includes(ring.name));
if (unknown !== undefined) {
  console.error(`test: no ring "${unknown}"; there are ${RINGS.map((ring) => ring.name).join(", ")}`);
  process.exitCode = 2;
} else if (process.getuid?.() !== 0 && wanted.some((ring) => ring.root)) {
  console.error(
    'test: not root: the tests on the real kernel need it, run "sudo npm test" (or "bun run check" without)',
  );
  process.exitCode = 1;
} else {
  process.on("SIGINT", () => interrupt("SIGINT"));
  process.on("SIGTERM", () => interrupt("SIGTERM"));
  await runAll(names);
  if (interrupted) total.failed++;
  console.log(`${total.passed} passed, ${total.failed} failed`);
  process.exitCode = interrupted ? 130 : total.failed === 0 ? 0 : 1;
}
