import type { Command, Flag } from "../command.ts";

const OPENRPC: Flag = {
  long: "openrpc",
  takes: "nothing",
  doc: ["Optional: Print the OpenRPC document, which describes every method, and end."],
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
  flags: [OPENRPC],
  examples: [{ does: "Every method with its parameters, as JSON", line: "bpfman rpc --openrpc" }],
  prepare(line) {
    const describe = line.has(OPENRPC);
    return (session) => (describe ? session.describeRpc() : session.serve());
  },
};
