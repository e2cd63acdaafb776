import type { Command, Flag } from "../command.ts";
import { parsePid } from "../parse-number.ts";

const OPENRPC: Flag = {
  long: "openrpc",
  takes: "nothing",
  doc: ["Optional: Print the OpenRPC document, which describes every method, and end."],
};
const STDIO: Flag = {
  long: "stdio",
  takes: "nothing",
  doc: ["Optional: Speak over stdin and stdout, as always. Clients of language servers pass it."],
};
/** Spelt as clients of language servers pass it. */
const CLIENT_PROCESS_ID: Flag = {
  long: "clientProcessId",
  takes: "one",
  metavar: "PID",
  completes: "pid",
  doc: ["Optional: End when this process does, like processId of initialize."],
};

export const rpc: Command = {
  description: [
    "Serve the same operations as JSON-RPC 2.0 over stdio.",
    "",
    "For editors and parent processes: messages are framed as in LSP, one process is one session.",
    "Logs go to stderr. The session ends with its input, after shutdown and exit, or with the",
    "process named in initialize.",
  ],
  args: [],
  flags: [OPENRPC, STDIO, CLIENT_PROCESS_ID],
  examples: [{ does: "Every method with its parameters, as JSON", line: "bpfman rpc --openrpc" }],
  prepare(line) {
    const describe = line.has(OPENRPC);
    const pid = line.value(CLIENT_PROCESS_ID);
    const clientProcessId = pid === null ? null : parsePid(pid);
    return (session) => (describe ? session.describeRpc() : session.serve({ clientProcessId }));
  },
};
