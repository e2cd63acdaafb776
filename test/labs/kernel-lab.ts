/** The tools of tests on the real kernel: a BPF file system, two namespaces connected by a cable, bpftool. */
import { beforeEach, expect } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, unlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { objectIds, withObject } from "../../ffi/safe/bpf.ts";
import { MapElements } from "../../ffi/safe/map-elements.ts";
import { mountBpffs } from "../../ffi/safe/mount.ts";
import { mapInfo, programInfo } from "../../ffi/safe/object-info.ts";
import { cleanUpAfterEach } from "./clean-up.ts";

/** Runs a command and answers what it prints. Throws when it fails. */
export function sh(...command: readonly string[]): string {
  const result = Bun.spawnSync([...command], { stdout: "pipe", stderr: "pipe" });
  if (result.exitCode !== 0) throw new Error(`${command.join(" ")}: ${result.stderr}`);
  return result.stdout.toString();
}

/** What others remove while bpftool walks its lists makes it fail, or leaves an error among the answers: then it asks again, later each time. */
function askAgain<T>(ask: () => T): T {
  for (let left = 20; ; left--) {
    try {
      return ask();
    } catch (thrown) {
      if (left === 0) throw thrown;
      Bun.sleepSync((20 - left) * 10);
    }
  }
}

export function bpftool(...command: readonly string[]) {
  const ask = () => JSON.parse(sh("bpftool", "-j", ...command));
  // What is asked for by its name or id is not there.
  const isList = !command.some((word) => ["id", "pinned", "name", "file", "dev"].includes(word));
  return isList ? askAgain(ask) : ask();
}

/** Runs commands of bpftool(8) in one process, and answers what each printed, as JSON; null for one that prints nothing. */
export function bpftoolBatch(lines: readonly string[]) {
  const stdin = Buffer.from(`${lines.join("\n")}\n`);
  const result = Bun.spawnSync(["bpftool", "-j", "batch", "file", "-"], { stdin, stdout: "pipe", stderr: "pipe" });
  if (result.exitCode !== 0) throw new Error(`bpftool: ${result.stderr}${result.stdout}`);
  return JSON.parse(result.stdout.toString()).map((each: { readonly output?: unknown }) => each.output ?? null);
}

/** All that the kernel has, by one process of bpftool. */
export function kernelObjects(): Record<"prog" | "map" | "link", readonly { id: number; prog_id?: number }[]> {
  return askAgain(() => {
    const [prog, map, link] = bpftoolBatch(["prog show", "map show", "link show"]);
    return { prog, map, link };
  });
}

/** The programs of the kernel, by this process itself: bpftool also looks for the processes that hold them, which takes long. */
export const loadedPrograms = (): { id: number; type: number; name: string }[] =>
  objectIds("program").flatMap((id) => {
    const info = withObject("program", id, (fd) => programInfo(fd));
    return info === null ? [] : { id, type: info.type, name: info.name };
  });

/** Whether bpftool finds a program, map or link of that id. */
export const inKernel = (kind: "prog" | "map" | "link", id: number): boolean =>
  Bun.spawnSync(["bpftool", "-j", kind, "show", "id", String(id)], { stdout: "ignore", stderr: "ignore" }).exitCode ===
  0;

const NUMBER_BYTES = 8;
const indexOf = (index: number): Uint8Array => new Uint8Array(new Uint32Array([index]).buffer);

/** Calls `work` with the entries of an array map of 64-bit numbers. By this process itself, as a command takes long on a slow machine. */
function withNumbers<T>(map: number, work: (entries: MapElements, count: number) => T): T {
  const result = withObject("map", map, (fd) => {
    const { keySize, valueSize, maxEntries } = mapInfo(fd);
    expect({ keySize, valueSize }).toEqual({ keySize: 4, valueSize: NUMBER_BYTES });
    return { done: work(new MapElements(fd, { keyBytes: keySize, valueBytes: valueSize }), maxEntries) };
  });
  if (result === null) throw new Error(`there is no map ${map}`);
  return result.done;
}

/** The numbers of an array map of u64, by key. */
export const counters = (map: number): number[] =>
  withNumbers(map, (entries, count) =>
    Array.from({ length: count }, (_, index) => {
      const value = entries.lookup(indexOf(index));
      if (value === null) throw new Error(`map ${map} has no entry ${index}`);
      return Number(Buffer.from(value).readBigUInt64LE());
    }),
  );

/** Writes entries of an array map of s64. */
export const setNumbers = (map: number, numbers: Readonly<Record<number, number>>): void =>
  withNumbers(map, (entries) => {
    for (const [index, number] of Object.entries(numbers)) {
      const value = Buffer.alloc(NUMBER_BYTES);
      value.writeBigInt64LE(BigInt(number));
      entries.update(indexOf(Number(index)), value, "any");
    }
  });

/** Waits until `condition` holds; fails the test when it does not within some seconds. */
export async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; tries < 2000; tries++) {
    if (condition()) return;
    await Bun.sleep(10);
  }
  expect(condition()).toBe(true);
}

/** Descriptors of BPF objects and perf events that this process has open. */
export function bpfDescriptors(): string[] {
  return readdirSync("/proc/self/fd").flatMap((fd) => {
    try {
      const target = readlinkSync(`/proc/self/fd/${fd}`);
      return /bpf[-_](prog|map|link)|perf_event/.test(target) ? [target] : [];
    } catch {
      return [];
    }
  });
}

/** Ids of the programs that this process holds: what it loaded, whatever others load meanwhile. */
export const heldPrograms = (): number[] =>
  readdirSync("/proc/self/fdinfo")
    .flatMap((fd) => {
      try {
        return /^prog_id:\t([0-9]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8"))?.[1] ?? [];
      } catch {
        return [];
      }
    })
    .map(Number)
    .sort((a, b) => a - b);

/** Each test gets a BPF file system of its own; afterwards nothing of BPF may be open that was not before. */
export function temporaryBpffs(): { path(name?: string): string; unpin(name: string): void } {
  let directory = "";
  let before: string[] = [];
  cleanUpAfterEach(() => {
    sh("umount", directory);
    rmSync(directory, { recursive: true });
    expect(readFileSync("/proc/self/mountinfo", "utf8")).not.toContain(directory);
    expect(bpfDescriptors()).toEqual(before);
  });
  beforeEach(() => {
    before = bpfDescriptors();
    directory = mkdtempSync(join(tmpdir(), "bpfman-test-"));
    mountBpffs(directory);
    // The root of a bpffs has files of the kernel's own.
    mkdirSync(join(directory, "pins"));
  });
  const path = (name = "") => join(directory, "pins", name);
  return { path, unpin: (name) => unlinkSync(path(name)) };
}

export interface Cable {
  /** Path of the namespace at this end, for setns. */
  readonly netns: string;
  readonly interface: string;
  readonly ifindex: number;
  /** Sends so many pings from the other end to this one, and answers how many came back. */
  ping(count: number): number;
}

let made = 0;

/** Runs commands of ip(8) in one go: a process takes long to start on a slow machine. */
export function ipBatch(options: readonly string[], ...lines: readonly string[]): void {
  const stdin = Buffer.from(`${lines.join("\n")}\n`);
  const result = Bun.spawnSync(["ip", ...options, "-batch", "-"], { stdin, stdout: "ignore", stderr: "pipe" });
  if (result.exitCode !== 0) throw new Error(`ip ${options.join(" ")}: ${lines.join("; ")}: ${result.stderr}`);
}

/** Deletes those that are there. */
export function deleteNamespaces(...names: readonly string[]): void {
  const stdin = Buffer.from(names.map((name) => `netns delete ${name}\n`).join(""));
  Bun.spawnSync(["ip", "-force", "-batch", "-"], { stdin, stdout: "ignore", stderr: "ignore" });
}

/** Index of the near end of a veth pair, in its namespace. */
export const NEAR_INDEX = 7;

/** Each test gets two network namespaces joined by a veth pair. */
export function cable(): Cable {
  let near = "";
  const far = () => `${near}-far`;
  cleanUpAfterEach(() => deleteNamespaces(near, far()));
  beforeEach(async () => {
    near = `bpfman-lab-${process.pid}-${made++}`;
    ipBatch([], `netns add ${near}`, `netns add ${far()}`);
    ipBatch(
      ["-n", near],
      `link add veth0 index ${NEAR_INDEX} type veth peer name veth1 netns ${far()}`,
      "address add 10.99.0.1/24 dev veth0",
      "link set veth0 up",
    );
    ipBatch(["-n", far()], "address add 10.99.0.2/24 dev veth1", "link set veth1 up");
    // The carrier comes up a moment later than the command says.
    await until(() => ping(1) === 1);
  });
  const ping = (count: number): number => {
    const command = ["ping", "-q", "-c", String(count), "-i", "0.01", "-W", "1", "10.99.0.1"];
    const result = Bun.spawnSync(["nsenter", `--net=/run/netns/${far()}`, ...command]);
    return Number(/(\d+) received/.exec(result.stdout.toString())?.[1]);
  };
  return {
    get netns() {
      return `/run/netns/${near}`;
    },
    interface: "veth0",
    ifindex: NEAR_INDEX,
    ping,
  };
}
