/** Kills commands with SIGKILL halfway: the next writing command must recover. */
import { expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { buildBpf } from "../../scripts/build-bpf.ts";
import { executable, idOf } from "../labs/executable.ts";
import { bpftool, inKernel } from "../labs/kernel-lab.ts";

buildBpf();
const OBJECT = resolve(import.meta.dir, "../../dist/bpf/fixtures/life.bpf.o");
/** Much work, also on the slow processor of the virtual machine. */
const LONG_MS = 300_000;
const LOAD = ["load", "file", "--path", OBJECT, "--programs", "tracepoint:on_openat", "tcx:count"];
const OPENAT = ["tracepoint", "-t", "syscalls/sys_enter_openat"];
const TRIES = 20;

const bpfman = executable();

const namesIn = (directory: string): string[] => (existsSync(directory) ? readdirSync(directory) : []);

/** Rows that some command has not finished. */
const unsettled = (): number =>
  bpfman.database((rows) =>
    ["programs", "links"]
      .map((table) => rows.query<{ n: number }, []>(`SELECT count(*) AS n FROM ${table} WHERE state <> 'ready'`).get())
      .reduce((sum, row) => sum + (row?.n ?? 0), 0),
  );

/**
 * Any command that writes puts things right, silently; a reader before it does not stumble. Afterwards rows, pins,
 * bytecode and kernel name the same programs and links.
 */
async function expectRecovered(): Promise<number[]> {
  await bpfman.ok("list", "programs");
  await bpfman.ok("list", "links");
  await bpfman.ok("unload", "--ignore-missing", "4294967295");
  expect(unsettled()).toBe(0);
  const programs = await bpfman.programs();
  const ids = programs.map((program) => program.program_id);
  const pinned = namesIn(`${bpfman.runtimeDir}/fs`).filter((name) => name.startsWith("prog_"));
  expect(pinned.sort()).toEqual(ids.map((id) => `prog_${id}`).sort());
  const bytecode = `${bpfman.runtimeDir}/state/bytecode/sha256`;
  const saved = new Set(programs.map(({ record }) => record?.load.object_path));
  expect(namesIn(bytecode).map((name) => `${bytecode}/${name}`)).toEqual([...saved].map(String).sort());
  for (const id of ids) expect(inKernel("prog", id)).toBe(true);

  const links = await bpfman.links();
  const inTheKernel: { id: number; prog_id: number }[] = bpftool("link");
  const ours = inTheKernel.filter((link) => ids.includes(link.prog_id)).map((link) => link.id);
  expect(ours).toEqual(links.map((link) => link.kernel_link_id ?? 0));
  const pins = namesIn(`${bpfman.runtimeDir}/fs/links`);
  expect(pins.sort()).toEqual(links.map((link) => String(link.id)).sort());
  return ids;
}

async function unloadAll(ids: readonly number[]): Promise<void> {
  if (ids.length > 0) await bpfman.ok("unload", ...ids.map(String));
  await bpfman.expectNothingLeft();
}

test(
  `a load, at ${TRIES} moments from its start to its end`,
  async () => {
    const began = performance.now();
    await bpfman.ok(...LOAD);
    const wholeMs = performance.now() - began;
    await unloadAll(await expectRecovered());
    let killed = 0;
    for (let each = 0; each < TRIES; each++) {
      const victim = bpfman.start(...LOAD);
      await Bun.sleep((wholeMs * (each + Math.random())) / TRIES);
      victim.kill("SIGKILL");
      if ((await victim.ended).code === null) killed++;
      const ids = await expectRecovered();
      // It was done, or it was not.
      expect([0, 2]).toContain(ids.length);
      await unloadAll(ids);
    }
    // On a machine that is busy otherwise most may come too late; the exact moments are below.
    expect(killed).toBeGreaterThan(0);
  },
  LONG_MS,
);

/** Runs a command under strace, which kills it at the `kill`th call of that name, or at none. Answers its exit code. */
function traced(words: readonly string[], call: string, kill: number | null): number | null {
  const inject = kill === null ? [] : ["-e", `inject=${call}:signal=SIGKILL:when=${kill}`];
  const strace = ["strace", "-f", "-qq", "-o", bpfman.path("trace"), "-e", `trace=${call}`, ...inject];
  return Bun.spawnSync([...strace, ...bpfman.command(...words)]).exitCode;
}

/** At which calls of that name the traced command did what `wanted` says, counted from 1. */
function callsOf(call: string, wanted: RegExp): number[] {
  const lines = readFileSync(bpfman.path("trace"), "utf8").split("\n");
  const calls = lines.filter((line) => line.includes(` ${call}(`));
  return calls.flatMap((line, index) => (wanted.test(line) ? [index + 1] : []));
}

/** SQLite's lock for writing to the WAL: the beginning of each change to the database. */
const WRITES = /F_SETLK, \{l_type=F_WRLCK, l_whence=SEEK_SET, l_start=120,/;
const STEPS: readonly (readonly [verb: string, call: string, wanted: RegExp])[] = [
  ["load", "bpf", /BPF_OBJ_PIN/],
  ["load", "renameat2", /bytecode/],
  ["load", "fcntl", WRITES],
  ["load", "fsync", /./],
  ["attach", "bpf", /BPF_LINK_CREATE|BPF_OBJ_PIN/],
  ["attach", "fcntl", WRITES],
  ["attach", "fsync", /./],
  ["detach", "unlinkat", /links/],
  ["detach", "fcntl", WRITES],
  ["detach", "fsync", /./],
  ["unload", "unlinkat", /\/run\/fs\//],
  ["unload", "fcntl", WRITES],
  ["unload", "fsync", /./],
];

test.each(STEPS)(
  "%s, at each %s of its own",
  async (verb, call, wanted) => {
    // The tables are made.
    await bpfman.begin();

    /** Brings about what the command needs, and gives its words. */
    async function prepare(): Promise<readonly string[]> {
      if (verb === "load") return LOAD;
      const programs = await bpfman.load(OBJECT, "--programs", "tracepoint:on_openat", "tcx:count");
      const id = idOf(programs, "on_openat");
      if (verb === "attach") return ["attach", String(id), ...OPENAT];
      const { record } = await bpfman.attach(id, ...OPENAT);
      return verb === "detach" ? ["detach", String(record.id)] : ["unload", String(id)];
    }

    expect(traced(await prepare(), call, null)).toBe(0);
    await unloadAll(await expectRecovered());
    const moments = callsOf(call, wanted);
    expect(moments.length).toBeGreaterThan(0);
    let killed = 0;
    for (const moment of moments) {
      // How often SQLite syncs may differ by one.
      if (traced(await prepare(), call, moment) !== 0) killed++;
      await unloadAll(await expectRecovered());
    }
    expect(killed).toBeGreaterThanOrEqual(Math.max(1, moments.length - 1));
  },
  LONG_MS,
);
