/**
 * `bun run build`: compiles the BPF objects, then the executable dist/bpfman, and bundles the JSON-RPC client into
 * dist/client.js. Does nothing if no input has changed since the last build (by content, not by time).
 */
import { createHash } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import packageJson from "../package.json" with { type: "json" };
import { bundle } from "./bundle.ts";

const ROOT = resolve(import.meta.dir, "..");
const OUTPUT = join(ROOT, "dist/bpfman");
const CLIENT = join(ROOT, "dist/client.js");
const STAMP = join(ROOT, "dist/.bpfman.inputs");
const INPUTS = new Bun.Glob("{src,ffi,rpc,lsp}/**/*.{ts,json,sql}");
const EMBEDDED = new Bun.Glob("dist/bpf/*.o");
const SINGLE_INPUTS = ["package.json", "package-lock.json", "tsconfig.json"];
const SCRIPTS = ["scripts/build.ts", "scripts/bundle.ts", "scripts/no-terminal.ts"];

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

async function compile(commit: string): Promise<void> {
  const partial = `${OUTPUT}.partial`;
  await bundle({ executable: partial }, commit);
  chmodSync(partial, 0o755);
  renameSync(partial, OUTPUT);
}

/** Bundles the client for parent processes into one file that Node.js runs without any package. */
function bundleClient(): void {
  run([process.execPath, "build", "rpc/client/client.ts", "--target=node", "--format=esm", "--outfile", CLIENT]);
}

async function build(): Promise<void> {
  mkdirSync(join(ROOT, "dist"), { recursive: true });
  process.stdout.write(run([process.execPath, "scripts/build-bpf.ts"]));
  const commit = gitCommit();
  const digest = digestOfInputs(commit);
  if (existsSync(OUTPUT) && existsSync(CLIENT) && existsSync(STAMP) && readFileSync(STAMP, "utf8") === digest) {
    console.log("build: dist/bpfman is up to date");
    return;
  }
  const startedAt = performance.now();
  rmSync(STAMP, { force: true });
  await compile(commit);
  bundleClient();
  writeFileSync(STAMP, digest);
  console.log(
    `build: dist/bpfman ${packageJson.version} (${commit}) in ${Math.round(performance.now() - startedAt)} ms`,
  );
}

try {
  await build();
} catch (failure) {
  console.error(`build: ${failure instanceof Error ? failure.message : failure}`);
  process.exit(1);
}
