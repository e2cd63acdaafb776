/** Cgroups of a test's own, in a mount of its own, and a process in them that makes a known number of events. */
import { afterAll, beforeAll } from "bun:test";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, realpathSync, rmdirSync, rmSync } from "node:fs";
import { release, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { cleanUpAfterEach } from "./clean-up.ts";
import { deleteNamespaces, ipBatch, sh } from "./kernel-lab.ts";

/** Programs can be put between those of a cgroup since Linux 6.17. */
export const cgroupOrderAvailable = Bun.semver.satisfies(release().replace(/-.*/, ""), ">=6.17.0");

export interface CgroupLab {
  /** The root of the hierarchy. */
  readonly root: string;
  /** A network namespace with nothing but its own `lo`. */
  readonly netns: string;
  /** Makes a cgroup, which is removed after the test; with a slash, one in another. */
  make(name: string): string;
  /** Where the cgroup of that name is, or would be. */
  pathOf(name: string): string;
  /** The kernel lets go of it a moment later. */
  remove(cgroup: string): void;
  /** Sends so many pings in that namespace, of so many bytes, from it to itself; each is answered when it is back. */
  ping(count: number, bytes?: number): void;
  /** Makes the events of cgroup_workload.c so many times, in that namespace; they have happened when it is back. */
  run(cgroup: string, rounds: number): Promise<void>;
}

/** To be called at the top of a test file. */
export function cgroupLab(): CgroupLab {
  const prefix = `bpfman-lab-${process.pid}`;
  const namespace = `${prefix}-cgroup`;
  let directory = "";
  let made: string[] = [];
  const root = () => join(directory, "cgroup");
  const pathOf = (name: string) => join(root(), `${prefix}-${name}`);
  const remove = (cgroup: string) => {
    if (existsSync(cgroup)) rmdirSync(cgroup);
  };
  beforeAll(() => {
    directory = realpathSync(mkdtempSync(join(tmpdir(), "bpfman-cgroup-")));
    // Tests without uid 0 go through it.
    chmodSync(directory, 0o755);
    mkdirSync(root());
    sh("mount", "-t", "cgroup2", "none", root());
    sh("gcc", "-O1", "-o", join(directory, "workload"), resolve(import.meta.dir, "../fixtures/cgroup_workload.c"));
    ipBatch([], `netns add ${namespace}`);
    // Packets above that size are sent in fragments.
    ipBatch(["-n", namespace], "link set lo mtu 1500 up");
  });
  cleanUpAfterEach(() => {
    for (const cgroup of made.toReversed()) remove(cgroup);
    made = [];
  });
  afterAll(() => {
    deleteNamespaces(namespace);
    sh("umount", root());
    rmSync(directory, { recursive: true });
  });
  return {
    get root() {
      return root();
    },
    netns: `/run/netns/${namespace}`,
    pathOf,
    make(name) {
      const cgroup = pathOf(name);
      mkdirSync(cgroup);
      made.push(cgroup);
      return cgroup;
    },
    remove,
    ping(count, bytes = 56) {
      const words = ["ping", "-q", "-c", String(count), "-i", "0.01", "-s", String(bytes), "127.0.0.1"];
      sh("nsenter", `--net=/run/netns/${namespace}`, ...words);
    },
    async run(cgroup, rounds) {
      const words = [`--net=/run/netns/${namespace}`, join(directory, "workload"), cgroup, String(rounds)];
      const child = Bun.spawn(["nsenter", ...words], { stdio: ["ignore", "ignore", "pipe"] });
      const [error, code] = await Promise.all([child.stderr.text(), child.exited]);
      if (code !== 0) throw new Error(`the workload ended with ${code}: ${error}`);
    },
  };
}
