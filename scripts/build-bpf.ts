/**
 * Compiles the BPF programs from `NAME.bpf.c` to `NAME.bpf.o`: the product's into dist/bpf, the examples' into
 * dist/bpf/examples, and those of the tests and benchmarks into dist/bpf/fixtures and dist/bpf/bench. Skips objects
 * that are newer than their source and this script.
 *
 *   bun scripts/build-bpf.ts --arch=arm64    with that processor's system calls and registers, into dist/arm64/bpf
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";
import { type Processor, processorIn } from "./bun-for.ts";
import { MULTIARCH } from "./debian.ts";

const ROOT = resolve(import.meta.dir, "..");
const SOURCE_ENDING = ".bpf.c";

const DIRECTORIES = [
  { sources: "src/dispatcher/bpf", objects: "bpf" },
  { sources: "examples/bpf", objects: "bpf/examples" },
  { sources: "test/fixtures/bpf", objects: "bpf/fixtures" },
  { sources: "scripts/bench/bpf", objects: "bpf/bench" },
] as const;

/** The value of __TARGET_ARCH_ by which <bpf/bpf_tracing.h> finds arguments in registers. */
const TARGET_ARCH: Readonly<Record<Processor, string>> = { x64: "x86", arm64: "arm64" };

/** Debian keeps <asm/types.h>, which <linux/bpf.h> includes, in a directory of its own for each architecture. */
function flagsFor(processor: Processor): readonly string[] {
  const triple = MULTIARCH[processor];
  const headers = processor === process.arch ? `/usr/include/${triple}` : `/usr/${triple}/include`;
  return [`-D__TARGET_ARCH_${TARGET_ARCH[processor]}`, "-idirafter", headers];
}

/** `-g` emits the BTF that the kernel and libbpf read. */
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

/** Writes to a temporary file and renames it, so that interrupted or concurrent builds never leave partial files. */
function compile(source: string, object: string, processor: Processor): void {
  mkdirSync(dirname(object), { recursive: true });
  const partial = `${object}.${process.pid}`;
  const command = ["clang", ...FLAGS, ...flagsFor(processor), "-c", source, "-o", partial];
  const result = Bun.spawnSync(command, { stdout: "inherit", stderr: "pipe" });
  if (result.exitCode !== 0) {
    rmSync(partial, { force: true });
    throw new Error(`clang failed to compile ${relative(ROOT, source)}:\n${result.stderr}`);
  }
  // Nobody needs the DWARF; BTF stays.
  if (Bun.which("llvm-strip") !== null) Bun.spawnSync(["llvm-strip", "-g", partial]);
  renameSync(partial, object);
}

interface Job {
  readonly source: string;
  readonly object: string;
}

function jobs(processor: Processor): Job[] {
  const dist = processor === process.arch ? "dist" : join("dist", processor);
  return DIRECTORIES.flatMap(({ sources, objects }) => {
    const directory = join(ROOT, sources);
    const names = existsSync(directory) ? readdirSync(directory).filter((name) => name.endsWith(SOURCE_ENDING)) : [];
    return names.map((name) => ({
      source: join(directory, name),
      object: join(ROOT, dist, objects, `${basename(name, SOURCE_ENDING)}.bpf.o`),
    }));
  });
}

/** Compiles the outdated objects and returns their number. Throws if clang is missing or fails. */
export function buildBpf(processor = process.arch as Processor): number {
  const script = modifiedAt(import.meta.path);
  const stale = jobs(processor).filter(
    ({ source, object }) => modifiedAt(object) < Math.max(modifiedAt(source), script),
  );
  if (stale.length > 0 && Bun.which("clang") === null) throw new Error("clang is missing: apt install clang");
  for (const { source, object } of stale) compile(source, object, processor);
  return stale.length;
}

if (import.meta.main) {
  try {
    const built = buildBpf(processorIn(process.argv.slice(2)) ?? undefined);
    console.log(built === 0 ? "build: BPF objects are up to date" : `build: compiled ${built} BPF objects`);
  } catch (failure) {
    console.error(`build: ${failure instanceof Error ? failure.message : failure}`);
    process.exit(1);
  }
}
