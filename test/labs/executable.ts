/** dist/bpfman with its own runtime directory for each test, and a check afterwards that nothing is left of it. */
import { beforeEach, expect } from "bun:test";
import { Database } from "bun:sqlite";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type Client, startClient } from "../../rpc/client/client.ts";
import { mountsUnder } from "../../scripts/residue.ts";
import type {
  DoctorAnswer,
  LinkAnswer,
  LinkListAnswer,
  LoadAnswer,
  ProgramAnswer,
  ProgramListAnswer,
} from "../../src/domain/answer.ts";
import type { Settings } from "../../src/domain/settings.ts";
import type { ErrorCode } from "../../src/errors/codes.ts";
import type { Invoke } from "../../src/service/invoke.ts";
import { cleanUpAfterEach } from "./clean-up.ts";
import { connectBriefly, runInProcess } from "./in-process.ts";
import { kernelObjects, until } from "./kernel-lab.ts";

export const BPFMAN = resolve(import.meta.dir, "../../dist/bpfman");
const ROOT = resolve(import.meta.dir, "../..");

const SETTINGS: Settings = {
  ...{ runtimeDir: null, stateDir: null, cacheDir: null, configFile: null, caFile: null },
  ...{ lockTimeoutMs: 60_000, logLevel: "warn" },
};

export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly error: string;
}

/** An error as JSON. */
export interface Failure {
  readonly code: ErrorCode;
  readonly kind: string;
  readonly message: string;
  readonly hint: string | null;
  readonly details: Readonly<Record<string, unknown>>;
  readonly verifier_log: string | null;
}

/** A command that is still running. */
export interface Started {
  readonly pid: number;
  kill(signal: NodeJS.Signals): void;
  /** Null for the code when a signal ended it. */
  readonly ended: Promise<{ readonly code: number | null; readonly out: string; readonly error: string }>;
}

export interface Executable {
  readonly runtimeDir: string;
  /** Environment of the commands that follow in this test, besides PATH. */
  readonly env: Record<string, string>;
  /** A file of the test's own, beside the runtime directory. */
  path(name: string): string;
  /** The command line with its words as they go to the executable. */
  command(...words: readonly string[]): string[];
  start(...words: readonly string[]): Started;
  /** Runs it to its end, whatever that is. */
  run(...words: readonly string[]): Promise<Outcome>;
  /** Must succeed and say nothing on stderr; answers what it printed. */
  ok(...words: readonly string[]): Promise<string>;
  /** The same with `-o json`. */
  json<T>(...words: readonly string[]): Promise<T>;
  /** Must fail with this exit code and this error code, and answer nothing. */
  refused(exitCode: number, code: ErrorCode, ...words: readonly string[]): Promise<Failure>;
  /**
   * `bpfman rpc`, which begins with the first call in a test and ends with the test: for what is not about the command
   * line, because each start of a process takes seconds in a virtual machine.
   */
  session(): Promise<Client>;
  /**
   * Leaves what a reboot leaves: the state directory, with rows of another boot. What has no other holder than its pin goes;
   * XDP programs go with `release`, which removes their interfaces.
   */
  reboot(): Promise<void>;
  /** Where the copy of an object file is, once it was loaded. */
  copyOf(object: string): string;
  /** Makes what the first change on a machine makes: directories, mount, database. `options` say where. */
  begin(...options: readonly string[]): Promise<void>;
  load(object: string, ...words: readonly string[]): Promise<readonly ProgramAnswer[]>;
  attach(program: number, ...words: readonly string[]): Promise<LinkAnswer>;
  programs(): Promise<ProgramListAnswer["programs"]>;
  links(): Promise<LinkListAnswer["links"]>;
  /** Lets an operation that only reads run in this process, which spares the start of another; it must not log anything. */
  ask: Invoke;
  /** What `doctor` finds. */
  findings(): Promise<DoctorAnswer["findings"]>;
  database<T>(look: (database: Database) => T): T;
  /** Fails unless rows, pins and bytecode are all gone, and the kernel has nothing that was loaded here. */
  expectNothingLeft(): Promise<void>;
}

/**
 * To be called at the top of a test file. What a test does not unload itself is unloaded after it. With `inProcess`, what is run to its
 * end runs in the process of the test, for what is about another process, which `command` or `start` begins.
 */
export function executable({ inProcess = false } = {}): Executable {
  let directory = "";
  let seen = newSeen();
  let env: Record<string, string> = {};
  let client: Promise<Client> | null = null;
  const running = new Set<Bun.Subprocess>();
  const runtimeDir = () => join(directory, "run");
  const databasePath = () => join(runtimeDir(), "state/bpfman.db");

  cleanUpAfterEach(async () => {
    await client?.then((each) => each.dispose());
    for (const child of running) child.kill("SIGKILL");
    await Promise.all([...running].map((child) => child.exited));
    try {
      const left = existsSync(databasePath()) ? database(programRows) : [];
      if (left.length > 0) await ok("unload", ...left.map(String));
      await expectNothingLeft();
    } finally {
      for (const point of mountsUnder(directory)) Bun.spawnSync(["umount", point]);
      expect(mountsUnder(directory)).toEqual([]);
      rmSync(directory, { recursive: true, force: true });
    }
  });
  beforeEach(() => {
    directory = realpathSync(mkdtempSync(join(tmpdir(), "bpfman-e2e-")));
    mkdirSync(runtimeDir(), { mode: 0o750 });
    seen = newSeen();
    env = {};
    client = null;
  });

  const command = (...words: readonly string[]) => [BPFMAN, "--runtime-dir", runtimeDir(), ...words];

  function start(...words: readonly string[]): Started {
    const around = { PATH: process.env.PATH ?? "", ...env };
    const child = Bun.spawn(command(...words), { cwd: ROOT, env: around, stdio: ["ignore", "pipe", "pipe"] });
    running.add(child);
    const ended = Promise.all([child.stdout.text(), child.stderr.text(), child.exited]).then(([out, error]) => {
      running.delete(child);
      return { code: child.signalCode === null ? child.exitCode : null, out, error };
    });
    return { pid: child.pid, kill: (signal) => child.kill(signal), ended };
  }

  async function run(...words: readonly string[]): Promise<Outcome> {
    if (inProcess) {
      const logLevel = (env.BPFMAN_LOG as Settings["logLevel"] | undefined) ?? SETTINGS.logLevel;
      return runInProcess(words, { ...SETTINGS, runtimeDir: runtimeDir(), logLevel, env });
    }
    const { code, out, error } = await start(...words).ended;
    if (code === null) throw new Error(`bpfman ${words.join(" ")} was ended by a signal\n${error}`);
    return { code, out, error };
  }

  async function ok(...words: readonly string[]): Promise<string> {
    const { code, out, error } = await run(...words);
    expect({ words, code, error }).toEqual({ words, code: 0, error: "" });
    return out;
  }

  const json = async (...words: readonly string[]) => JSON.parse(await ok(...words, "--output", "json"));

  async function refused(exitCode: number, code: ErrorCode, ...words: readonly string[]): Promise<Failure> {
    const result = await run(...words, "--output", "json", "--error-format", "json");
    const answer: { readonly error: Failure } = JSON.parse(result.error);
    // Commands that take several ids answer for those that worked.
    const out = result.out.replace(/^\{\n( {2}"(unloaded|deleted|detached)": \[\],?\n)+\}\n$/, "");
    expect({ words, exit: result.code, out, code: answer.error.code }).toEqual({
      words,
      exit: exitCode,
      out: "",
      code,
    });
    expect(Object.keys(answer.error)).toEqual(["code", "kind", "message", "hint", "details", "verifier_log"]);
    return answer.error;
  }

  async function ask(...call: Parameters<Invoke>) {
    const said: string[] = [];
    const invoke = await connectBriefly({ ...SETTINGS, runtimeDir: runtimeDir() }, (text) => void said.push(text));
    const answer = await invoke(...call);
    expect({ call, said }).toEqual({ call, said: [] });
    return answer;
  }

  const programs = async (): Promise<ProgramListAnswer["programs"]> => (await json("list", "programs")).programs;

  function database<T>(look: (database: Database) => T): T {
    const database = new Database(databasePath(), { readonly: true });
    try {
      return look(database);
    } finally {
      database.close();
    }
  }

  /** Rows, files and pins; the directories that are always there do not count. */
  function traces() {
    const count = (table: string) =>
      existsSync(databasePath())
        ? database((rows) => rows.query<{ n: number }, []>(`SELECT count(*) AS n FROM ${table}`).get()?.n)
        : 0;
    return {
      programs: count("programs"),
      links: count("links"),
      pins: filesBelow(join(runtimeDir(), "fs")),
      mapDirectories: namesIn(join(runtimeDir(), "fs/maps")),
      bytecode: namesIn(join(runtimeDir(), "state/bytecode/sha256")),
    };
  }

  async function expectNothingLeft(): Promise<void> {
    expect(traces()).toEqual({ programs: 0, links: 0, pins: [], mapDirectories: [], bytecode: [] });
    if (existsSync(databasePath())) for (const id of database(loadedPrograms)) seen.programs.add(id);
    if (seen.programs.size + seen.maps.size + seen.links.size === 0) return;
    let left: readonly string[] = [];
    await until(() => {
      const { prog, map, link } = kernelObjects();
      left = [
        ...link
          .filter(({ id, prog_id }) => seen.links.has(id) || seen.programs.has(prog_id ?? 0))
          .map(({ id }) => `link ${id}`),
        ...prog.filter(({ id }) => seen.programs.has(id)).map(({ id }) => `program ${id}`),
        ...map.filter(({ id }) => seen.maps.has(id)).map(({ id }) => `map ${id}`),
      ];
      return left.length === 0;
    });
    expect(left).toEqual([]);
  }

  return {
    get runtimeDir() {
      return runtimeDir();
    },
    get env() {
      return env;
    },
    path: (name) => join(directory, name),
    command,
    start,
    run,
    ok,
    json,
    refused,
    session() {
      client ??= startClient({
        command: command("rpc") as [string, ...string[]],
        env: { PATH: process.env.PATH, ...env },
      });
      return client;
    },
    async reboot() {
      await client?.then((each) => each.dispose());
      client = null;
      for (const point of mountsUnder(runtimeDir()).toReversed()) Bun.spawnSync(["umount", point]);
      for (const name of readdirSync(runtimeDir())) {
        if (name !== "state") rmSync(join(runtimeDir(), name), { recursive: true });
      }
      const rows = new Database(databasePath());
      rows.run("PRAGMA foreign_keys = OFF");
      const earlier = `boot before ${crypto.randomUUID()}`;
      const bootId = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
      for (const table of ["programs", "links", "dispatchers", "pins", "wishes", "changes"])
        rows.run(`UPDATE ${table} SET boot_id = ? WHERE boot_id = ?`, [earlier, bootId]);
      for (const column of ["boot_id", "successor_boot_id"])
        rows.run(`UPDATE successors SET ${column} = ? WHERE ${column} = ?`, [earlier, bootId]);
      rows.close();
    },
    copyOf(object) {
      const digest = new Bun.CryptoHasher("sha256").update(readFileSync(object)).digest("hex");
      return join(runtimeDir(), "state/bytecode/sha256", digest);
    },
    async begin(...options) {
      await ok(
        "load",
        "file",
        "--path",
        join(ROOT, "dist/bpf/fixtures/life.bpf.o"),
        "--programs",
        "tracepoint:on_openat",
        ...options,
      );
      await ok("program", "delete", "--all", ...options);
    },
    async load(object, ...words) {
      const answer: LoadAnswer = await json("load", "file", "--path", object, ...words);
      for (const { record, status } of answer.programs) {
        if (record !== null) seen.programs.add(record.program_id);
        for (const id of status.kernel?.map_ids ?? []) seen.maps.add(id);
      }
      return answer.programs;
    },
    async attach(program, ...words) {
      const link: LinkAnswer = await json("attach", String(program), ...words);
      if (link.record.kernel_link_id !== null) seen.links.add(link.record.kernel_link_id);
      return link;
    },
    ask: ask as Invoke,
    programs,
    links: async () => (await json("list", "links")).links,
    async findings() {
      const { out, error } = await run("doctor", "--output", "json");
      if (out === "") throw new Error(`doctor answered nothing: ${error}`);
      return JSON.parse(out).findings;
    },
    database,
    expectNothingLeft,
  };
}

/** Ids that the kernel gave to what a test made. */
interface Seen {
  readonly programs: Set<number>;
  readonly links: Set<number>;
  readonly maps: Set<number>;
}
const newSeen = (): Seen => ({ programs: new Set(), links: new Set(), maps: new Set() });

/** Programs that a command has finished loading. */
const programRows = (database: Database): number[] =>
  database
    .query<{ id: number }, []>("SELECT DISTINCT program_id AS id FROM programs WHERE state <> 'pending'")
    .all()
    .map(({ id }) => id);

/** What the history says was loaded, also by loads that failed afterwards. */
function loadedPrograms(database: Database): number[] {
  const rows = database.query<{ details: string }, []>("SELECT details FROM operations WHERE operation LIKE '%load'");
  return rows.all().flatMap(({ details }): number[] => JSON.parse(details).programs ?? []);
}

const namesIn = (directory: string): string[] => (existsSync(directory) ? readdirSync(directory) : []);

/** Pins below a bpffs, without the two that the kernel itself puts into the root of each. */
function filesBelow(directory: string): string[] {
  return namesIn(directory)
    .filter((name) => !name.endsWith(".debug"))
    .flatMap((name) => {
      const path = join(directory, name);
      return statSync(path).isDirectory() ? filesBelow(path) : [path];
    });
}

/** The id of the program of that name among those loaded together. */
export function idOf(programs: readonly ProgramAnswer[], name: string): number {
  const record = programs.find((program) => program.record?.load.program_name === name)?.record;
  if (!record) throw new Error(`no program "${name}" was loaded`);
  return record.program_id;
}

/** The id of a program's map, by the beginning of its name. */
export function mapOf(programs: readonly ProgramAnswer[], name: string): number {
  const map = programs.flatMap((program) => program.status.maps).find((each) => each.name.startsWith(name));
  if (!map) throw new Error(`no map "${name}" was loaded`);
  return map.id;
}
