/**
 * `npm run demo`: shows bpfman on the real kernel, as a tutorial that prints each command before it runs it. Works in
 * two network namespaces and a directory of its own, and removes them at the end, after a failure, and on Ctrl-C.
 */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync } from "node:fs";
import { release, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { isOrphan, namedNamespaces, removeNamespace, removeTree } from "./residue.ts";

const ROOT = resolve(import.meta.dir, "..");
const OBJECT = "dist/bpf/examples/packet_counter.bpf.o";
const PREFIX = "bpfman-demo-";
const LEFT = `${PREFIX}${process.pid}-left`;
const RIGHT = `${PREFIX}${process.pid}-right`;
const PACKETS = 5;
/** The keys of the map in examples/bpf/packet_counter.bpf.c. */
const COUNTERS = ["packets", "bytes", "calls of openat"];

const color = process.stdout.isTTY && !process.env.NO_COLOR;
const bold = (text: string) => (color ? `\x1b[1m${text}\x1b[0m` : text);
const faint = (text: string) => (color ? `\x1b[2m${text}\x1b[0m` : text);

/** Ends the demo with a one-line message; everything it created is removed on the way out. */
class Stop extends Error {
  readonly exitCode: number;
  constructor(message: string, exitCode: number) {
    super(message);
    this.exitCode = exitCode;
  }
}

let directory = "";
let running: Bun.Subprocess | null = null;
let interruptedBy: "SIGINT" | "SIGTERM" | null = null;

const say = (text: string) => console.log(`\n${bold(`# ${text}`)}`);

/** Runs a command in the repository and returns its standard output; stops the demo if it fails. */
async function capture(command: string): Promise<string> {
  if (interruptedBy !== null) throw new Stop("interrupted", interruptedBy === "SIGINT" ? 130 : 143);
  const words = command.split(" ").map((word) => (word === "bpfman" ? "dist/bpfman" : word));
  const child = Bun.spawn(words, { cwd: ROOT, env: process.env, stdio: ["ignore", "pipe", "pipe"] });
  running = child;
  const [out, error, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  running = null;
  if (interruptedBy !== null) throw new Stop("interrupted", interruptedBy === "SIGINT" ? 130 : 143);
  if (code !== 0) throw new Stop(`"${command}" failed with exit code ${code}\n${error || out}`.trimEnd(), 1);
  return out;
}

/** Like {@link capture}, but also prints the command and its output. */
async function show(command: string): Promise<string> {
  console.log(`${faint("$")} ${command}`);
  const out = await capture(command);
  process.stdout.write(out);
  return out;
}

/** The first missing requirement, in one line; null if there is none. */
async function whatIsMissing(): Promise<string | null> {
  if (process.getuid?.() !== 0) return 'loading eBPF programs needs root: run "sudo npm run demo"';
  const tool = ["ip", "ping"].find((name) => Bun.which(name) === null);
  if (tool !== undefined) return `${tool} is missing: install iproute2 and iputils-ping`;
  if (!existsSync(join(ROOT, "dist/bpfman"))) return 'dist/bpfman is missing: run "npm run demo", which builds it';
  if (!/\bbpf$/m.test(readFileSync("/proc/filesystems", "utf8"))) return "this kernel has no BPF file system (bpffs)";
  const version: { readonly libbpf: string | null } = JSON.parse(await capture("bpfman version -o json"));
  return version.libbpf === null ? "libbpf is missing: install libbpf1 (Debian, Ubuntu) or libbpf (Fedora)" : null;
}

/** TCX came with Linux 6.6. */
function hasTcx(): boolean {
  const [major = 0, minor = 0] = release().split(".").map(Number);
  return major > 6 || (major === 6 && minor >= 6);
}

/** Removes what earlier demos left behind when they were killed with SIGKILL. */
function sweep(): void {
  const left = (name: string) => name.startsWith(PREFIX) && isOrphan(name);
  namedNamespaces().filter(left).forEach(removeNamespace);
  const parent = realpathSync(tmpdir());
  for (const name of readdirSync(parent).filter(left)) removeTree(join(parent, name));
}

function cleanUp(): void {
  for (const name of [LEFT, RIGHT]) if (existsSync(`/run/netns/${name}`)) removeNamespace(name);
  if (directory !== "") removeTree(directory);
}

async function makeNetwork(): Promise<void> {
  say("Create two network namespaces, connected by a virtual cable (a veth pair)");
  await show(`ip netns add ${LEFT}`);
  await show(`ip netns add ${RIGHT}`);
  await show(`ip -n ${LEFT} link add veth0 type veth peer name veth0 netns ${RIGHT}`);
  for (const [index, name] of [LEFT, RIGHT].entries()) {
    await show(`ip -n ${name} address add 192.0.2.${index + 1}/24 dev veth0`);
    await show(`ip -n ${name} link set veth0 up`);
  }
}

async function showCounters(map: string): Promise<void> {
  const command = `bpfman map dump ${map} -o json`;
  console.log(`${faint("$")} ${command}`);
  const entries: { readonly key: number; readonly value: number }[] = JSON.parse(await capture(command));
  for (const { key, value } of entries) console.log(`  ${(COUNTERS[key] ?? "").padEnd(16)} ${value}`);
}

const ping = () => show(`ip netns exec ${RIGHT} ping -q -c ${PACKETS} -i 0.2 192.0.2.1`);

async function demo(): Promise<void> {
  const tcx = hasTcx();
  if (!tcx) console.log(`demo: Linux ${release()} has no TCX, which needs 6.6 or newer; showing only the tracepoint`);
  await makeNetwork();

  say("Load both programs of an object file; they share its map");
  await show(
    `bpfman load file --path ${OBJECT} --programs tcx:count_packets tracepoint:count_openat --application demo`,
  );
  const listed: { readonly programs: readonly { readonly program_id: number; readonly function_name: string }[] } =
    JSON.parse(await capture("bpfman list programs --application demo -o json"));
  const idOf = (name: string) => {
    const found = listed.programs.find((program) => program.function_name === name);
    if (found === undefined) throw new Stop(`"bpfman list programs" does not show ${name}`, 1);
    return found.program_id;
  };

  say("Attach them: the tracepoint system-wide, TCX to one end of the cable");
  await show(`bpfman attach ${idOf("count_openat")} tracepoint --tracepoint syscalls/sys_enter_openat`);
  if (tcx) {
    await show(
      `bpfman attach ${idOf("count_packets")} tcx --direction ingress --iface veth0 --priority 50 --netns /run/netns/${LEFT}`,
    );
  }

  say("No bpfman process is running any more, but the programs stay attached");
  await show("bpfman list programs");
  await show("bpfman list links");

  say("Send packets, and read the counters from the map");
  await ping();
  const map = `${idOf("count_openat")}/counters`;
  await showCounters(map);

  say("Detach, and send again: the counters no longer change");
  const links: { readonly links: readonly { readonly id: number }[] } = JSON.parse(
    await capture("bpfman list links -o json"),
  );
  await show(`bpfman detach ${links.links.map((link) => link.id).join(" ")}`);
  await showCounters(map);
  await ping();
  await showCounters(map);

  say("Unload: nothing is left");
  await show(`bpfman unload ${listed.programs.map((program) => program.program_id).join(" ")}`);
  await show("bpfman list programs");
}

async function main(): Promise<number> {
  const missing = await whatIsMissing();
  if (missing !== null) {
    console.error(`demo: ${missing}`);
    return 1;
  }
  sweep();
  directory = realpathSync(mkdtempSync(join(tmpdir(), `${PREFIX}${process.pid}-`)));
  mkdirSync(join(directory, "run"));
  for (const [name, part] of [
    ["BPFMAN_RUNTIME_DIR", "run"],
    ["BPFMAN_STATE_DIR", "state"],
  ] as const) {
    process.env[name] = join(directory, part);
    console.log(`${faint("$")} export ${name}=${join(directory, part)}`);
  }
  await demo();
  return 0;
}

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    interruptedBy = signal;
    running?.kill(signal);
  });
}
let exitCode = 1;
try {
  exitCode = await main();
} catch (failure) {
  if (failure instanceof Stop) exitCode = failure.exitCode;
  console.error(`demo: ${failure instanceof Stop ? failure.message : failure}`);
} finally {
  cleanUp();
}
if (exitCode === 0) console.log("\ndemo: done; the namespaces, mounts and directories of the demo have been removed");
process.exitCode = exitCode;
