/** Commands that run in the process of a test: in a virtual machine, the start of another takes as long as the command. */
import { Database } from "bun:sqlite";
import type { Settings } from "../../src/domain/settings.ts";
import { features } from "../../src/kernel/explain/features.ts";
import type { KernelFeatures } from "../../src/platform/kernel.ts";
import { openRuntime } from "../../src/runtime.ts";
import { createInvoke, type Invoke } from "../../src/service/invoke.ts";
import { openStore } from "../../src/store/open-store.ts";
import { cli } from "../fakes/cli-host.ts";

/** To try them takes a third of a second there, and they do not change. */
let tried: KernelFeatures | null = null;

/**
 * Connects the operations. As after the end of a command, no connection to the database stays open after an operation, and
 * closing it copies nothing out of its log.
 */
export async function connectBriefly(settings: Settings, write: (text: string) => void): Promise<Invoke> {
  const runtime = await openRuntime({
    ...{ settings, write, parentPid: process.ppid },
    keep: {
      keepStore: (options) => ({
        read: () => openStore({ ...options, mode: "read" }),
        write(owner) {
          const store = openStore({ ...options, mode: "write", owner });
          return {
            ...store,
            close() {
              // SQLite copies the log when the last connection is closed, unless that one only reads.
              const last = new Database(options.path, { readonly: true });
              last.query("SELECT count(*) FROM sqlite_schema").get();
              store.close();
              last.close();
            },
          };
        },
      }),
    },
  });
  return createInvoke({
    ...runtime,
    async openHost(...how) {
      const host = await runtime.openHost(...how);
      const machine = () => ({ ...host.machine, features: async () => (tried ??= await features()) });
      return Object.create(host, { machine: { get: machine } });
    },
  });
}

/** Runs a command line, without the name of the executable. */
export async function runInProcess(
  words: readonly string[],
  { env, ...settings }: Settings & { readonly env: Readonly<Record<string, string>> },
): Promise<{ readonly code: number; readonly out: string; readonly error: string }> {
  const said: string[] = [];
  const invoke = await connectBriefly(settings, (text) => void said.push(text));
  const { code, out, err } = await cli(words, {
    env,
    answer: ({ name, request, context }) => invoke(name as Parameters<Invoke>[0], request, context),
  });
  return { code, out, error: `${said.join("")}${err}` };
}
