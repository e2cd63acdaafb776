/**
 * Compiles the BPF programs: the product's own into dist/bpf, the examples' into dist/bpf/examples, and those of the
 * tests and benchmarks into dist/bpf/fixtures and dist/bpf/bench. What is newer than its source and this script stays as it is. `NAME.bpf.c` becomes
 * `NAME.bpf.o`.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";

const ROOT = resolve(import.meta.dir, "..");
const SOURCE_ENDING = ".bpf.c";

const FOLDERS = [
  { sources: "src/dispatcher/bpf", objects: "dist/bpf" },
  { sources: "examples/bpf", objects: "dist/bpf/examples" },
  { sources: "test/fixtures/bpf", objects: "dist/bpf/fixtures" },
  { sources: "scripts/bench/bpf", objects: "dist/bpf/bench" },
] as const;

/** Debian keeps <asm/types.h>, which <linux/bpf.h> includes, in a folder of the machine's own. */
const MULTIARCH = { x64: "x86_64-linux-gnu", arm64: "aarch64-linux-gnu" } as const;

function includes(): readonly string[] {
  const triple = process.arch === "arm64" ? MULTIARCH.arm64 : MULTIARCH.x64;
  return ["-idirafter", `/usr/include/${triple}`];
}

/** `-g` makes the BTF that the kernel and libbpf read. */
const FLAGS = [
  "-target",
  "bpf",
  "-mcpu=v3",
  "-O2",
  "-g",
  "-Wall",
  "-Wextra",
  "-Werror",
  "-Wno-unused-parameter",
] as const;

const modifiedAt = (path: string): number => (existsSync(path) ? statSync(path).mtimeMs : 0);

/** Writes beside the target and renames, so that a build that is interrupted or runs twice leaves whole files. */
function compile(source: string, object: string): void {
  mkdirSync(dirname(object), { recursive: true });
  const partial = `${object}.${process.pid}`;
  const command = ["clang", ...FLAGS, ...includes(), "-c", source, "-o", partial];
  const result = Bun.spawnSync(command, { stdout: "inherit", stderr: "pipe" });
  if (result.exitCode !== 0) {
    rmSync(partial, { force: true });
    throw new Error(`clang refused ${relative(ROOT, source)}:\n${result.stderr}`);
  }
  // DWARF is of no use to anybody here; BTF stays.
  if (Bun.which("llvm-strip") !== null) Bun.spawnSync(["llvm-strip", "-g", partial]);
  renameSync(partial, object);
}

interface Job {
  readonly source: string;
  readonly object: string;
}

function jobs(): Job[] {
  return FOLDERS.flatMap(({ sources, objects }) => {
    const folder = join(ROOT, sources);
    const names = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith(SOURCE_ENDING)) : [];
    return names.map((name) => ({
      source: join(folder, name),
      object: join(ROOT, objects, `${basename(name, SOURCE_ENDING)}.bpf.o`),
    }));
  });
}

/** Compiles what is out of date and answers how many files that were. Throws when clang is missing or refuses one. */
export function buildBpf(): number {
  const script = modifiedAt(import.meta.path);
  const stale = jobs().filter(({ source, object }) => modifiedAt(object) < Math.max(modifiedAt(source), script));
  if (stale.length > 0 && Bun.which("clang") === null) throw new Error("clang is missing: apt install clang");
  for (const { source, object } of stale) compile(source, object);
  return stale.length;
}

if (import.meta.main) {
  try {
    const built = buildBpf();
    console.log(built === 0 ? "build: BPF objects are up to date" : `build: compiled ${built} BPF objects`);
  } catch (failure) {
    console.error(`build: ${failure instanceof Error ? failure.message : failure}`);
    process.exit(1);
  }
}
