/** A mount namespace of a test's own, in which nothing that is mounted comes out; with a test's end it goes. */
import { readlinkSync } from "node:fs";
import { cleanUpAfterEach } from "./clean-up.ts";
import { sh, until } from "./kernel-lab.ts";

export interface MountNamespace {
  /** The command line that runs a command in it. */
  command(...words: readonly string[]): string[];
  /** Runs it; answers what it prints. Throws if it fails. */
  sh(...words: readonly string[]): string;
  /** Paths of what is mounted at and below a directory. */
  mountsIn(directory: string): string[];
  /** Ends it, with all its mounts. Whoever is still in it keeps them. */
  end(): Promise<void>;
}

/** To be called at the top of a test file. Each call of what it returns makes one. */
export function mountNamespaces(): () => MountNamespace {
  const open = new Set<MountNamespace>();
  cleanUpAfterEach(async () => {
    for (const each of open) await each.end();
  });
  return () => {
    const holder = Bun.spawn(["unshare", "--mount", "--propagation", "private", "sleep", "infinity"]);
    const path = `/proc/${holder.pid}/ns/mnt`;
    const command = (...words: readonly string[]) => ["nsenter", `--mount=${path}`, "--", ...words];
    const made: MountNamespace = {
      command,
      sh: (...words) => sh(...command(...words)),
      mountsIn: (directory) =>
        sh(...command("cat", "/proc/self/mountinfo"))
          .split("\n")
          .map((line) => line.split(" ")[4] ?? "")
          .filter((each) => each === directory || each.startsWith(`${directory}/`)),
      async end() {
        open.delete(made);
        holder.kill("SIGKILL");
        await holder.exited;
      },
    };
    open.add(made);
    return made;
  };
}

/** Waits until it is one of its own. */
export const entered = (namespace: MountNamespace): Promise<void> =>
  until(() => namespace.sh("readlink", "/proc/self/ns/mnt").trim() !== readlinkSync("/proc/self/ns/mnt"));
