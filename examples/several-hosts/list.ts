/**
 * Lists the programs of several hosts. Each has bpfman and is reached by ssh, which must not ask for anything; the hosts are
 * asked at the same time, and one that cannot be reached does not keep the others from being listed.
 *
 * usage: list.ts HOST... [-- COMMAND...]    COMMAND starts the server there: "bpfman rpc", or for example "sudo -n bpfman rpc"
 */
import { type Client, DisconnectedError, RpcError, startClient } from "../../rpc/client/client.ts";

const connect = (host: string, command: readonly string[]): Promise<Client> =>
  startClient({ command: ["ssh", "-T", "-o", "BatchMode=yes", "--", host, ...command], remote: true });

/** One line for each program of the host. */
async function programsOf(host: string, command: readonly string[]): Promise<string[]> {
  const client = await connect(host, command);
  try {
    const { programs } = await client.call("program/list");
    return programs.flatMap(({ record }) => {
      if (record === null) return [];
      const { program_id: id, load } = record;
      return `${host.padEnd(16)} ${String(id).padEnd(8)} ${load.program_type.padEnd(12)} ${load.program_name}`;
    });
  } finally {
    await client.dispose();
  }
}

const words = process.argv.slice(2);
const end = words.includes("--") ? words.indexOf("--") : words.length;
const hosts = words.slice(0, end);
const command = words.length > end + 1 ? words.slice(end + 1) : ["bpfman", "rpc"];
if (hosts.length === 0) {
  console.error("usage: list.ts HOST... [-- COMMAND...]");
  process.exitCode = 2;
}
const answers = await Promise.allSettled(hosts.map((host) => programsOf(host, command)));
for (const [at, answer] of answers.entries()) {
  if (answer.status === "fulfilled") for (const line of answer.value) console.log(line);
  else {
    const { reason } = answer;
    if (!(reason instanceof RpcError || reason instanceof DisconnectedError)) throw reason;
    console.error(`${hosts[at]}: ${reason.message}`);
    process.exitCode = 1;
  }
}
