/**
 * Drives bpfman from TypeScript. Loads a program in a session that cleans up after itself, attaches it, prints the
 * resulting events, then detaches and unloads it. If this process is killed in between, bpfman cleans up.
 *
 * usage: parent.ts OBJECT [COMMAND...]    COMMAND starts the server: "bpfman rpc", or for example "sudo bpfman rpc"
 */
import { resolve } from "node:path";
import { createInterface } from "node:readline/promises";
import { RpcError, startClient } from "../../rpc/client/client.ts";
import type { ChangeEvent } from "../../rpc/client/event-stream.ts";

async function main(path: string, command: readonly string[]): Promise<void> {
  const [executable = "bpfman", ...words] = command.length > 0 ? command : ["bpfman", "rpc"];
  const client = await startClient({
    command: [executable, ...words],
    clientInfo: { name: "parent.ts" },
    cleanup: true,
  });
  try {
    const { serverInfo, kernel } = client.server;
    console.log(`${serverInfo.name} ${serverInfo.version} on Linux ${kernel.release}`);
    const subscription = await client.events();
    const events = subscription[Symbol.asyncIterator]();

    const loaded = await client.call("program/load", {
      source: { file: resolve(path) },
      programs: [{ type: "tracepoint", name: "count_openat" }],
      application: "parent",
    });
    const programId = loaded.programs[0]?.record?.program_id ?? 0;
    const link = await client.call("link/attach", {
      programId,
      attach: { kind: "tracepoint", tracepoint: "syscalls/sys_enter_openat" },
    });
    await show(events);
    await show(events);

    console.log(`program ${programId} runs through link ${link.record.id}; press Enter to remove it`);
    await enter();

    await client.call("link/detach", { linkId: link.record.id });
    await client.call("program/unload", { programId });
    await show(events);
    await show(events);
  } finally {
    await client.dispose();
  }
}

/** Prints the next event, waiting for it if necessary. */
async function show(events: AsyncIterator<ChangeEvent>): Promise<void> {
  const { value: event } = await events.next();
  console.log(`event ${event.sequence}: ${event.kind} of program ${event.program_id}`);
}

async function enter(): Promise<void> {
  const input = createInterface(process.stdin);
  await new Promise((done) => input.once("line", done).once("close", done));
  input.close();
}

const [path, ...command] = process.argv.slice(2);
if (path === undefined) {
  console.error("usage: parent.ts OBJECT [COMMAND...]");
  process.exitCode = 2;
} else {
  try {
    await main(path, command);
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    console.error(`parent: ${error.message}\nhint: ${error.data?.hint}`);
    process.exitCode = 1;
  }
}
