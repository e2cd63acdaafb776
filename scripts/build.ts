/**
 * `bun run build`: compiles the BPF objects, then the executable dist/bpfman, and bundles the JSON-RPC client into
 * dist/client.js. Does nothing if no input has changed since the last build (by content, not by time).
 *
 *   bun scripts/build.ts                   for this machine's processor: dist/bpfman
 *   bun scripts/build.ts --arch=arm64      for that processor: dist/arm64/bpfman; the processors are x64 and arm64
 */
import { createHash } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import packageJson from "../package.json" with { type: "json" };
import { bunFor, type Processor, processorIn } from "./bun-for.ts";
import { bundle } from "./bundle.ts";

const ROOT = resolve(import.meta.dir, "..");
const CLIENT = join(ROOT, "dist/client.js");
const INPUTS = new Bun.Glob("{src,ffi,rpc,lsp}/**/*.{ts,json,sql}");
const EMBEDDED = new Bun.Glob("dist/bpf/*.o");
const SINGLE_INPUTS = ["package.json", "package-lock.json", "tsconfig.json"];
const SCRIPTS = [
  "scripts/build.ts",
  "scripts/bun-for.ts",
  "scripts/bundle.ts",
  "scripts/constants.ts",
  "scripts/no-terminal.ts",
  "scripts/stages.ts",
];

/** Runs a command in the repository and returns its standard output. On failure, prints its output and throws. */
function run(command: readonly string[]): string {
  const result = Bun.spawnSync([...command], { cwd: ROOT, stdout: "pipe", stderr: "pipe" });
  if (result.exitCode === 0) return result.stdout.toString();
  process.stderr.write(result.stdout);
  process.stderr.write(result.stderr);
  throw new Error(`"${command.join(" ")}" failed with exit code ${result.exitCode}`);
}

/** Twelve digits of HEAD, marked if the sources differ from it; `unknown` outside of git. */
function gitCommit(): string {
  const git = (...args: string[]) => Bun.spawnSync(["git", "-C", ROOT, ...args], { stderr: "ignore" });
  const head = git("rev-parse", "--short=12", "HEAD");
  if (head.exitCode !== 0) return "unknown";
  const dirty = git("status", "--porcelain", "--", "src", "ffi", "rpc", "lsp", "package.json").stdout.length > 0;
  return `${head.stdout.toString().trim()}${dirty ? "-dirty" : ""}`;
}

function digestOfInputs(commit: string): string {
  const hash = createHash("sha256").update(`${commit}\0${Bun.version}\0`);
  const files = [INPUTS, EMBEDDED].flatMap((glob) => [...glob.scanSync({ cwd: ROOT })]);
  for (const file of [...files, ...SINGLE_INPUTS, ...SCRIPTS].sort()) {
    const bytes = readFileSync(join(ROOT, file));
    hash.update(`${file}\0${bytes.length}\0`).update(bytes);
  }
  return hash.digest("hex");
}

/** `processor` is null for this machine's own. */
async function compile(output: string, commit: string, processor: Processor | null): Promise<void> {
  const partial = `${output}.partial`;
  const other = processor === null ? {} : { processor, bun: bunFor(processor) };
  await bundle({ executable: partial, ...other }, commit);
  chmodSync(partial, 0o755);
  renameSync(partial, output);
}

/** Bundles the client for parent processes into one file that Node.js runs without any package. */
function bundleClient(): void {
  run([process.execPath, "build", "rpc/client/client.ts", "--target=node", "--format=esm", "--outfile", CLIENT]);
}

async function build(processor: Processor | null): Promise<void> {
  const output = join(ROOT, "dist", processor ?? "", "bpfman");
  const stamp = join(dirname(output), ".bpfman.inputs");
  const name = relative(ROOT, output);
  mkdirSync(dirname(output), { recursive: true });
  process.stdout.write(run([process.execPath, "scripts/build-bpf.ts"]));
  const commit = gitCommit();
  const digest = digestOfInputs(commit);
  if (existsSync(output) && existsSync(CLIENT) && existsSync(stamp) && readFileSync(stamp, "utf8") === digest) {
    console.log(`build: ${name} is up to date`);
    return;
  }
  const startedAt = performance.now();
  rmSync(stamp, { force: true });
  await compile(output, commit, processor);
  bundleClient();
  writeFileSync(stamp, digest);
  console.log(`build: ${name} ${packageJson.version} (${commit}) in ${Math.round(performance.now() - startedAt)} ms`);
}

try {
  await build(processorIn(process.argv.slice(2)));
} catch (failure) {
  console.error(`build: ${failure instanceof Error ? failure.message : failure}`);
  process.exit(1);
}
