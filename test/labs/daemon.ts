/** `bpfman serve` as a process, beside the commands of a test's executable. */
import { readFileSync, statSync } from "node:fs";
import type { Executable, Started } from "./executable.ts";
import { GrpcClient } from "./grpc-client.ts";
import { until } from "./kernel-lab.ts";

export interface Daemon extends Started {
  readonly socket: string;
  client(): GrpcClient;
  /** A number of /proc/PID/status, in MiB. */
  memory(name: "VmRSS" | "VmHWM"): number;
  /** Ends it with SIGTERM; answers what it said. It must end well. */
  stop(): Promise<string>;
}

const MIB = 1024;

/** Starts it, and waits until it serves. It ends with the test. */
export async function daemon(bpfman: Executable, ...words: readonly string[]): Promise<Daemon> {
  const socket = bpfman.path("d.sock");
  // What a killed one left has another number.
  const inode = (): number | undefined => statSync(socket, { throwIfNoEntry: false })?.ino;
  const left = inode();
  const started = bpfman.start("serve", "--socket-path", socket, "--socket-group", "0", ...words);
  let over = false;
  void started.ended.then(() => {
    over = true;
  });
  await until(() => over || ![undefined, left].includes(inode()));
  if (over) throw new Error(`the daemon ended: ${(await started.ended).error}`);
  const status = (): string => readFileSync(`/proc/${started.pid}/status`, "utf8");
  return {
    ...started,
    socket,
    client: () => new GrpcClient(socket),
    memory: (name) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status())?.[1]) / MIB,
    async stop() {
      started.kill("SIGTERM");
      const { code, error } = await started.ended;
      if (code !== 0) throw new Error(`the daemon ended with ${code}: ${error}`);
      return error;
    },
  };
}
