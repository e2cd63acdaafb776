/**
 * What commands cost, counted rather than timed: instructions, system calls, files opened, modules evaluated. Whoever makes a
 * command do more says so in costs.json, which `UPDATE_COSTS=1 bun test ./test/e2e/costs.test.ts` writes; the commit says why.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { emptyProgram } from "../../scripts/bench/commands.ts";
import { bundle } from "../../scripts/bundle.ts";
import { removeTree } from "../../scripts/residue.ts";
import { BPFMAN } from "../labs/executable.ts";
import { tcxAvailable } from "../labs/tcx-test.ts";

/** Counts of one command, without those of an empty Bun program. */
interface Cost {
  /** Of the main thread, in thousands. */
  readonly instructions: number;
  /** Of the main thread, by name. */
  readonly calls: Readonly<Record<string, number>>;
  readonly files: readonly string[];
}
interface Costs {
  readonly commands: Readonly<Partial<Record<Name, Cost>>>;
  /** By module, the commands that evaluate it. */
  readonly modules: Readonly<Record<string, string>>;
  /** Its version: another one makes other calls to load an object. */
  readonly libbpf: string;
}

const FILE = join(import.meta.dir, "costs.json");
const ROOT = resolve(import.meta.dir, "../..");
const OBJECT = join(ROOT, "dist/bpf/bench/members.bpf.o");
const COMMANDS = ["help", "load", "list", "get", "attach", "detach", "unload"] as const;
type Name = (typeof COMMANDS)[number];
/** Other counts of the same command differ by less than 0.5 %, and those of another processor a little more. */
const RISE_MAX = 1.05;
/**
 * They depend on the allocator, on threads and on what is ready when, are made as a process starts, or read and write pages of the
 * database, which are as many as the digits of IDs make rows long.
 */
const ELSEWHERE =
  /^(pread64|pwrite64|mmap|munmap|mremap|madvise|mprotect|brk|futex|sched_.*|epoll_.*|rt_sig.*|restart_syscall|clone3?|getrandom|ppoll|set_robust_list|rseq)$/;

/** What the dynamic linker opens. */
const LIBRARIES = /^(\/usr)?\/lib|^\/etc\/ld\.so/;

const missing = [
  ...["valgrind", "strace"].flatMap((tool) => (Bun.which(tool) === null ? `no ${tool}` : [])),
  ...(tcxAvailable ? [] : ["no TCX, or not root"]),
  ...(process.arch === "x64" ? [] : ["other system calls than on x86-64"]),
].join(", ");

let directory = "";
let chunks: Readonly<Record<string, readonly string[]>> = {};
let found: Costs = { commands: {}, modules: {}, libbpf: "" };

/** Runs a command in the lab's network namespace with an environment that is the same everywhere; answers what it printed. */
function run(...words: readonly string[]): string {
  const env = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", BUN_JSC_useGC: "0", BPFMAN_RUNTIME_DIR: join(directory, "run") };
  const inside = ["nsenter", `--net=/proc/${holder?.pid}/ns/net`, `--mount=/proc/${holder?.pid}/ns/mnt`];
  const { exitCode, stdout, stderr } = Bun.spawnSync([...inside, ...words], { cwd: directory, env });
  if (exitCode !== 0) throw new Error(`${words.join(" ")}: ${stderr}`);
  return stdout.toString();
}

let holder: Bun.Subprocess | null = null;

/** Counts instructions. callgrind gives the same number, in three times the time. */
function instructionsOf(command: readonly string[]): { thousands: number; out: string } {
  const report = join(directory, "valgrind");
  const quiet = ["--instr-count-only=yes", "--bb-out-file=/dev/null", "--pc-out-file=/dev/null"];
  const out = run("valgrind", "--tool=exp-bbv", ...quiet, `--log-file=${report}`, ...command);
  const main = /Total instructions: (\d+)/.exec(readFileSync(report, "utf8"))?.[1];
  return { thousands: Math.round(Number(main) / 1000), out };
}

/** Returns the system calls of the main thread, and the files that any thread opened. */
function callsOf(command: readonly string[], ...options: readonly string[]) {
  const reports = mkdtempSync(join(directory, "strace-"));
  const out = run("strace", "-ff", "-o", join(reports, "of"), ...options, ...command);
  const threads = readdirSync(reports).map((name) => readFileSync(join(reports, name), "utf8").split("\n"));
  const main = threads.find(([first = ""]) => first.startsWith("execve(")) ?? [];
  // SQLite looks at each directory on the way to its file.
  const onTheWay = (line: string): boolean => directory.startsWith(/^lstat\("([^"]*)"/.exec(line)?.[1] ?? "not");
  const own = main.filter((line) => !onTheWay(line));
  const calls = own.flatMap((line) => /^(\w+)\(/.exec(line)?.[1] ?? []).filter((call) => !ELSEWHERE.test(call));
  const files = threads.flat().flatMap((line) => {
    const path = /^open(?:at)?\((?:AT_FDCWD, )?"([^"]*)".*\) += \d/.exec(line)?.[1] ?? "";
    if (path === "" || LIBRARIES.test(path)) return [];
    return path
      .replace(directory, "")
      .replace(`${ROOT}/`, "")
      .replaceAll(/(?<=[/_])\d+(?=[/.]|$)/g, "N")
      .replace(/[0-9a-f]{64}/, "DIGEST");
  });
  return { calls, files, out };
}

/** Takes each of `less` from `all` once. */
function without(all: readonly string[], less: readonly string[]): string[] {
  const left = [...less];
  return all.filter((each) => {
    const at = left.indexOf(each);
    if (at >= 0) left.splice(at, 1);
    return at < 0;
  });
}

function measureAll(): Costs {
  const empty = [emptyProgram(directory)];
  const floor = { instructions: instructionsOf(empty).thousands, ...callsOf(empty) };
  let [program, link] = ["", ""];
  const words: Readonly<Record<Name, () => readonly string[]>> = {
    help: () => ["--help"],
    load: () => ["load", "file", "--path", OBJECT, "--programs", "tcx:tc_10"],
    list: () => ["list", "programs"],
    get: () => ["get", "program", program],
    attach: () => ["attach", program, "tcx", "--iface", "costs0", "--direction", "ingress", "--priority", "50"],
    detach: () => ["detach", link],
    unload: () => ["unload", program],
  };
  /** Calls each command once, which leaves nothing; `call` returns what it printed. */
  const cycle = (call: (name: Name, words: readonly string[]) => string): void => {
    for (const name of COMMANDS) {
      const out = call(name, words[name]());
      program = /Program ID: +(\d+)/.exec(out)?.[1] ?? program;
      link = /Link ID: +(\d+)/.exec(out)?.[1] ?? link;
    }
  };
  // Makes directories, the mount and the database.
  cycle((_, each) => run(BPFMAN, ...each));

  const outside: Partial<Record<Name, Omit<Cost, "instructions">>> = {};
  cycle((name, each) => {
    const { calls, files, out } = callsOf([BPFMAN, ...each]);
    const own = Object.entries(Object.groupBy(without(calls, floor.calls).sort(), (call) => call));
    outside[name] = {
      calls: Object.fromEntries(own.map(([call, all]) => [call, all?.length ?? 0])),
      files: without(files, floor.files).sort(),
    };
    return out;
  });
  const commands: Partial<Record<Name, Cost>> = {};
  cycle((name, each) => {
    const { thousands, out } = instructionsOf([BPFMAN, ...each]);
    commands[name] = { instructions: thousands - floor.instructions, ...(outside[name] as Omit<Cost, "instructions">) };
    return out;
  });
  const evaluated = new Map<string, Name[]>();
  cycle((name, each) => {
    const bundled = [process.execPath, join(directory, "bundle/main.js"), ...each];
    const { files, out } = callsOf(bundled, "-f", "--seccomp-bpf", "-e", "trace=execve,open,openat");
    const opened = new Set(files.map((file) => file.slice(file.lastIndexOf("/") + 1)));
    for (const module of [...opened].flatMap((chunk) => chunks[chunk] ?? [])) {
      evaluated.set(module, [...(evaluated.get(module) ?? []), name]);
    }
    return out;
  });
  const modules = [...evaluated].map(([module, names]) => [module, names.join(" ")]).sort();
  const { libbpf } = JSON.parse(run(BPFMAN, "version", "-o", "json"));
  return { libbpf: String(libbpf?.version ?? libbpf), commands, modules: Object.fromEntries(modules) };
}

beforeAll(async () => {
  if (missing !== "") return;
  directory = realpathSync(mkdtempSync(join(tmpdir(), "bpfman-costs-")));
  const { metafile } = await bundle({ directory: join(directory, "bundle") }, "none");
  const outputs = Object.entries((metafile as { outputs: Record<string, { inputs: object }> }).outputs);
  chunks = Object.fromEntries(outputs.map(([path, { inputs }]) => [path.replace("./", ""), Object.keys(inputs)]));
  const script = "mount --make-rprivate / && ip link add costs0 type veth peer name costs1 && echo ready && read _";
  holder = Bun.spawn(["unshare", "--net", "--mount", "sh", "-c", script], { stdin: "pipe", stdout: "pipe" });
  await (holder.stdout as ReadableStream).getReader().read();
  found = measureAll();
  if (process.env.UPDATE_COSTS !== undefined) writeFileSync(FILE, `${JSON.stringify(found, null, 2)}\n`);
}, 600_000);

afterAll(async () => {
  holder?.kill("SIGKILL");
  await holder?.exited;
  if (existsSync(directory)) removeTree(directory);
  rmSync(directory, { recursive: true, force: true });
});

describe.skipIf(missing !== "")(`costs no more than costs.json says${missing && ` (skipped: ${missing})`}`, () => {
  const baseline = (): Costs => JSON.parse(readFileSync(FILE, "utf8"));
  test.each(COMMANDS)("%s", (name) => {
    const { commands, libbpf } = baseline();
    const [was, is] = [commands[name] as Cost, found.commands[name] as Cost];
    expect({ name, files: is.files }).toEqual({ name, files: was.files });
    if (name !== "load" || found.libbpf === libbpf)
      expect({ name, calls: is.calls }).toEqual({ name, calls: was.calls });
    const more = `${name}: ${is.instructions} thousand instructions, where costs.json has ${was.instructions}`;
    expect(is.instructions, more).toBeLessThan(was.instructions * RISE_MAX);
  });
  test("modules", () => {
    expect(found.modules).toEqual(baseline().modules);
  });
});
