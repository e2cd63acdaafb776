/** A process with a unique name that makes exactly the requested number of events of each kind. */
import { afterAll, beforeAll } from "bun:test";
import { mkdtempSync, realpathSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { sh } from "./kernel-lab.ts";

/** The kernel function that the workload calls once for each event, its system call, and the hook behind it. */
export const KERNEL_FUNCTION = "security_task_getpgid";
export const TRACEPOINT = "syscalls/sys_enter_getpgid";
export const LSM_HOOK = "task_getpgid";
export const USER_FUNCTION = "probed_function";

export interface Workload {
  readonly binary: string;
  /** What the kernel calls the process, as bytes for the global variable WORKLOAD of kinds.bpf.c. */
  readonly nameHex: string;
  /** Makes so many events; they have happened when it is back. */
  run(times: number): Promise<void>;
  /** The same by a process of another name. */
  runOther(times: number): Promise<void>;
}

/** To be called at the top of a test file. */
export function workload(): Workload {
  let directory = "";
  const name = `kinds-${process.pid}`;
  const binary = () => join(directory, name);
  const other = () => join(directory, "other");
  beforeAll(() => {
    directory = realpathSync(mkdtempSync(join(tmpdir(), "bpfman-workload-")));
    sh("gcc", "-O1", "-o", binary(), resolve(import.meta.dir, "../fixtures/kinds_workload.c"));
    symlinkSync(binary(), other());
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  async function runAs(path: string, times: number): Promise<void> {
    const child = Bun.spawn([path], { stdin: new Blob(["x".repeat(times)]), stdout: "pipe" });
    const [answers, code] = await Promise.all([child.stdout.text(), child.exited]);
    if (code !== 0 || answers.length !== times) throw new Error(`the workload ended with ${code} after "${answers}"`);
  }

  return {
    get binary() {
      return binary();
    },
    nameHex: Buffer.from(name.padEnd(16, "\0")).toString("hex"),
    run: (times) => runAs(binary(), times),
    runOther: (times) => runAs(other(), times),
  };
}
