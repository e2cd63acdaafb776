/**
 * Compiles C to eBPF with clang. Sources and what is near them are not trusted: clang is found at fixed paths, gets a clean
 * environment, bounds on time and memory, a directory of its own, and the user's ID if sudo started bpfman.
 */
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { arch, tmpdir } from "node:os";
import { join } from "node:path";
import {
  COMPILER_FILE_BYTES_MAX,
  COMPILER_MEMORY_BYTES_MAX,
  COMPILER_OUTPUT_BYTES_MAX,
  COMPILER_SECONDS_MAX,
  COMPILER_TIMEOUT_MS,
  OBJECT_BYTES_MAX,
} from "../domain/limits.ts";
import { BpfmanError } from "../errors/error.ts";
import { reasonOf, sysPart } from "../errors/sys-failure.ts";
import type { Compiled, CompilerPort } from "../platform/compiler.ts";
import { databaseFlags } from "./compilation-database.ts";
import { parseDiagnostics } from "./diagnostics.ts";

/** Where tools are looked for, never in PATH. */
const DIRECTORIES = ["/usr/bin", "/usr/local/bin", "/bin"] as const;
const PATH = "/usr/bin:/bin";

/** Debian keeps <asm/types.h>, which <linux/bpf.h> includes, in a directory of its own for each architecture. */
const MULTIARCH = `/usr/include/${arch() === "arm64" ? "aarch64" : "x86_64"}-linux-gnu`;
/** What bpf_tracing.h of libbpf needs to know. */
const TARGET_ARCH = arch() === "arm64" ? "arm64" : "x86";
const USUAL_FLAGS = [
  "--target=bpf",
  "-O2",
  `-D__TARGET_ARCH_${TARGET_ARCH}`,
  "-Wno-unused-command-line-argument",
] as const;

interface User {
  readonly uid: number;
  readonly gid: number;
}

export function openCompiler(env: Readonly<Record<string, string | undefined>>): CompilerPort {
  return {
    async compile(path, signal) {
      const clang = findClang();
      if (clang === null) throw missing("clang", "clang, dnf install clang, apk add clang");
      const flags = databaseFlags(path) ?? [];
      const user = userOf(env);
      const directory = mkdtempSync(join(tmpdir(), "bpfman-check-"));
      try {
        if (user !== null) chownSync(directory, user.uid, user.gid);
        const command = [...confined(user), clang, ...USUAL_FLAGS, ...flags, ...FORCED, "--", path];
        return await run(command, { directory, path, signal });
      } finally {
        rmSync(directory, { recursive: true, force: true });
      }
    },
  };
}

/** These come last, so that nothing changes them. */
const FORCED = [
  "-g",
  "-idirafter",
  MULTIARCH,
  "-x",
  "c",
  "-c",
  "-o",
  "-",
  "-fno-color-diagnostics",
  "-fno-caret-diagnostics",
  "-fno-crash-diagnostics",
  "-ferror-limit=50",
] as const;

/** Whoever called sudo; null for root itself, and for anybody else. */
function userOf(env: Readonly<Record<string, string | undefined>>): User | null {
  if (process.geteuid?.() !== 0) return null;
  const [uid, gid] = [env.SUDO_UID, env.SUDO_GID].map((id) => (/^\d{1,10}$/.test(id ?? "") ? Number(id) : null));
  if (uid == null || uid === 0) return null;
  return { uid, gid: gid ?? uid };
}

function confined(user: User | null): string[] {
  const limits = [
    tool("prlimit"),
    `--cpu=${COMPILER_SECONDS_MAX}`,
    `--as=${COMPILER_MEMORY_BYTES_MAX}`,
    `--fsize=${COMPILER_FILE_BYTES_MAX}`,
    "--core=0",
    "--",
  ];
  if (user === null) return limits;
  const { uid, gid } = user;
  const setpriv = [tool("setpriv"), `--reuid=${uid}`, `--regid=${gid}`, "--clear-groups", "--no-new-privs"];
  return [...setpriv, "--inh-caps=-all", "--", ...limits];
}

function tool(name: string): string {
  const path = DIRECTORIES.map((directory) => join(directory, name)).find(existsSync);
  if (path === undefined) throw missing(name, "util-linux, dnf install util-linux, apk add util-linux-misc");
  return path;
}

function missing(name: string, how: string): BpfmanError {
  return new BpfmanError("COMPILER_MISSING", `compile: there is no ${name} in ${DIRECTORIES.join(", ")}`, {
    hint: `install it (apt install ${how}), or compile the source yourself and check the object`,
  });
}

/** The plain name, or else the newest version that has one of its own: `clang-18`. */
function findClang(): string | null {
  for (const directory of DIRECTORIES) {
    if (existsSync(join(directory, "clang"))) return join(directory, "clang");
    const versions = (existsSync(directory) ? readdirSync(directory) : [])
      .flatMap((name) => /^clang-(\d+)$/.exec(name)?.[1] ?? [])
      .map(Number);
    if (versions.length > 0) return join(directory, `clang-${Math.max(...versions)}`);
  }
  return null;
}

interface Surroundings {
  readonly directory: string;
  readonly path: string;
  readonly signal: AbortSignal;
}

async function run(command: readonly string[], { directory, path, signal }: Surroundings): Promise<Compiled> {
  const cancelled = (): BpfmanError => new BpfmanError("CANCELLED", `interrupted while "${path}" was compiled`);
  if (signal.aborted) throw cancelled();
  const child = start(command, directory, path);
  const kill = (): void => child.kill("SIGKILL");
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    kill();
  }, COMPILER_TIMEOUT_MS);
  signal.addEventListener("abort", kill, { once: true });
  try {
    const [object, said] = await Promise.all([
      upTo(child.stdout, OBJECT_BYTES_MAX, kill),
      upTo(child.stderr, COMPILER_OUTPUT_BYTES_MAX, () => {}),
      child.exited,
    ]);
    if (signal.aborted) throw cancelled();
    const output = new TextDecoder().decode(said);
    const diagnostics = parseDiagnostics(output);
    const hasError = diagnostics.some(({ severity }) => severity === "error");
    if (child.exitCode === 0 && object.length > 0 && object.length <= OBJECT_BYTES_MAX)
      return { bytes: object, diagnostics, output: "" };
    if (hasError && !late) return { bytes: null, diagnostics, output };
    throw failed(path, {
      how: late ? `it took longer than ${COMPILER_TIMEOUT_MS / 1000} s` : howItEnded(child),
      output,
    });
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", kill);
  }
}

const howItEnded = ({ exitCode, signalCode }: Bun.Subprocess): string =>
  signalCode === null ? `clang ended with exit status ${exitCode}` : `clang was ended by ${signalCode}`;

function failed(path: string, { how, output }: { readonly how: string; readonly output: string }): BpfmanError {
  const said = output.split("\n").find((line) => /error|memory|cannot|terminate/i.test(line));
  return new BpfmanError("COMPILE_FAILED", `compile "${path}": ${how}${said === undefined ? "" : `: ${said.trim()}`}`, {
    details: { path, output: output.slice(0, COMPILER_OUTPUT_BYTES_MAX) },
  });
}

function start(command: readonly string[], directory: string, path: string) {
  const env = { PATH, LC_ALL: "C", HOME: directory, TMPDIR: directory };
  try {
    return Bun.spawn([...command], { env, cwd: directory, stdio: ["ignore", "pipe", "pipe"] });
  } catch (cause) {
    throw new BpfmanError("COMPILE_FAILED", `compile "${path}": start "${command[0]}": ${reasonOf(cause)}`, {
      ...sysPart(cause),
      cause,
    });
  }
}

/** Reads all, and keeps at most one byte more than `bytesMax`. */
async function upTo(stream: ReadableStream<Uint8Array>, bytesMax: number, exceeded: () => void): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of stream) {
    if (bytes > bytesMax) continue;
    const kept = chunk.subarray(0, bytesMax + 1 - bytes);
    parts.push(kept);
    bytes += kept.length;
    if (bytes > bytesMax) exceeded();
  }
  return new Uint8Array(Buffer.concat(parts));
}
