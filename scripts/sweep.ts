/**
 * `bun scripts/sweep.ts DIRECTORY…` loads every program of every object file below the directories, by itself, with plain
 * libbpf (sweep.c) and with dist/bpfman, and reports the differences: programs that libbpf loads and bpfman rejects, or
 * loads as something else. Programs that only bpfman loads are counted. Exits with 1 if there are differences. With
 * SWEEP_ALL=1, it shows everything that libbpf does not load. Needs root and gcc.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import { type Client, RpcError, startClient } from "../rpc/client/client.ts";
import type { ObjectProgram } from "../src/domain/object-file.ts";
import { readObject } from "../src/object/object-file.ts";
import { mountsUnder } from "./residue.ts";

const ROOT = resolve(import.meta.dir, "..");
/** The verifier can take seconds per program; anything longer than this hangs. */
const LIBBPF_TIMEOUT_MS = 120_000;

/** What one of the two did with a program: its tag (a digest of its instructions), or why it was not loaded. */
type Outcome = { readonly tag: string } | { readonly refused: string };

interface Difference {
  readonly file: string;
  readonly program: string;
  readonly libbpf: Outcome;
  readonly bpfman: Outcome;
}

const counts = { objects: 0, programs: 0, both: 0, neither: 0, more: 0, others: 0 };
const differences: Difference[] = [];

function* objectFiles(directory: string): Generator<string> {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) yield* objectFiles(path);
    else if (entry.isFile() && /\.(o|elf)$/.test(entry.name)) yield path;
  }
}

/** Returns outcomes by name and section. Throws libbpf's message if it cannot open the object, or crashes. */
function withLibbpf(sweep: string, path: string): ReadonlyMap<string, Outcome> {
  const { exitCode, stdout, stderr } = Bun.spawnSync([sweep, path], { timeout: LIBBPF_TIMEOUT_MS });
  if (exitCode !== 0) throw new Error(stderr.toString().trim() || "libbpf did not survive it");
  const lines = stdout.toString().trimEnd().split("\n");
  return new Map(
    lines.map((line) => {
      const [name, section, result, number, rest = ""] = line.split("\t");
      const outcome = result === "ok" ? { tag: rest } : { refused: `${rest.trim()} (errno ${number})` };
      return [`${name} ${section}`, outcome] as const;
    }),
  );
}

async function withBpfman(client: Client, path: string, name: string): Promise<Outcome> {
  try {
    const { programs } = await client.call("program/load", { source: { file: path }, programs: [{ name }] });
    const [program] = programs;
    if (program === undefined) throw new Error("bpfman loaded nothing");
    await client.call("program/unload", { programId: program.record?.program_id ?? 0 });
    return { tag: program.status.kernel?.tag ?? "" };
  } catch (thrown) {
    if (!(thrown instanceof RpcError)) throw thrown;
    return { refused: `${thrown.data?.code}: ${thrown.message}` };
  }
}

/** Returns an object's programs, or why it cannot be read: it is invalid, or not for this machine. */
function programsOf(path: string): readonly ObjectProgram[] | string {
  try {
    return readObject(readFileSync(path), { nativeByteOrderOnly: true }).programs;
  } catch (refused) {
    return refused instanceof Error ? refused.message : String(refused);
  }
}

const isLoaded = (outcome: Outcome): outcome is { readonly tag: string } => "tag" in outcome;

async function compare(path: string, sweep: string, client: Client): Promise<void> {
  counts.objects++;
  const file = relative(process.cwd(), path);
  let plain: ReadonlyMap<string, Outcome> = new Map();
  let unopened = "libbpf finds no such program";
  try {
    plain = withLibbpf(sweep, path);
  } catch (thrown) {
    unopened = thrown instanceof Error ? thrown.message : String(thrown);
  }
  const programs = programsOf(path);
  if (typeof programs === "string") {
    for (const [program, libbpf] of plain)
      if (isLoaded(libbpf)) differences.push({ file, program, libbpf, bpfman: { refused: programs } });
    return;
  }
  for (const program of programs) {
    if (program.kind === null) {
      counts.others++;
      continue;
    }
    counts.programs++;
    const libbpf = plain.get(`${program.name} ${program.section}`) ?? { refused: unopened };
    const bpfman = await withBpfman(client, path, program.name);
    if (isLoaded(libbpf) && isLoaded(bpfman) && libbpf.tag === bpfman.tag) counts.both++;
    else if (isLoaded(libbpf)) differences.push({ file, program: program.name, libbpf, bpfman });
    else if (isLoaded(bpfman)) counts.more++;
    else counts.neither++;
    if (process.env.SWEEP_ALL && !isLoaded(libbpf))
      console.log(`${file} ${program.name}\n  libbpf: ${told(libbpf)}\n  bpfman: ${told(bpfman)}`);
  }
}

const told = (outcome: Outcome): string => (isLoaded(outcome) ? `loads it, tag ${outcome.tag}` : outcome.refused);

async function main(directories: readonly string[]): Promise<number> {
  if (directories.length === 0) {
    console.error("usage: bun scripts/sweep.ts DIRECTORY…");
    return 2;
  }
  const scratch = mkdtempSync(join(tmpdir(), "bpfman-sweep-"));
  const sweep = join(scratch, "sweep");
  const compiled = Bun.spawnSync(["gcc", "-O2", "-o", sweep, join(import.meta.dir, "sweep.c"), "-lbpf"]);
  if (compiled.exitCode !== 0) throw new Error(`gcc failed: ${compiled.stderr}`);
  const client = await startClient({
    command: [join(ROOT, "dist/bpfman"), "--runtime-dir", join(scratch, "run"), "rpc"],
    cleanup: true,
  });
  try {
    for (const directory of directories)
      for (const path of [...objectFiles(resolve(directory))].sort()) await compare(path, sweep, client);
  } finally {
    await client.dispose();
    for (const point of mountsUnder(scratch)) Bun.spawnSync(["umount", point]);
    rmSync(scratch, { recursive: true, force: true });
  }
  for (const { file, program, libbpf, bpfman } of differences)
    console.log(`${file}: ${program}\n  libbpf: ${told(libbpf)}\n  bpfman: ${told(bpfman)}`);
  const { objects, programs, both, neither, more, others } = counts;
  console.log(
    `${objects} objects, ${programs} programs: ${both} loaded by both, ${more} by bpfman alone, ${neither} by neither, ` +
      `${differences.length} differences; ${others} programs whose sections name no kind`,
  );
  return differences.length > 0 ? 1 : 0;
}

process.exit(await main(process.argv.slice(2)));
