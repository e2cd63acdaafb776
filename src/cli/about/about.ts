/** Commands about bpfman itself, and its other edge. */
import { defineCommand, optional, several, toggle } from "../command.ts";
import { parsePid } from "../parse/number.ts";
import { renderVersion, renderVersionLine } from "../render/version.ts";

const TOPIC = several({
  takes: "list",
  long: "command",
  doc: ["The command to describe, word by word."],
  completes: "command",
});

export const help = defineCommand({
  fields: { topic: TOPIC },
  classic: {
    words: ["topic"],
    examples: [{ does: "Everything about one command", line: "bpfman help attach tcx" }],
  },
  prepare:
    ({ topic }) =>
    async (session) =>
      session.help(topic),
});

export const version = defineCommand({
  fields: {},
  classic: {
    examples: [{ does: "The same for scripts, and what the kernel can do", line: "bpfman version -o json" }],
  },
  prepare: () => async (session) => {
    const request = { features: session.output === "json" };
    session.print(await session.invoke("version", request), renderVersion);
  },
});

export const versionLine = defineCommand({
  fields: {},
  classic: { examples: [] },
  prepare: () => async (session) => {
    const request = { features: session.output === "json" };
    session.print(await session.invoke("version", request), renderVersionLine);
  },
});

const OPENRPC = toggle({
  long: "openrpc",
  doc: ["Optional: Print the OpenRPC document, which describes every method, and end."],
});

const STDIO = toggle({
  long: "stdio",
  doc: ["Optional: Speak over stdin and stdout, as always. Clients of language servers pass it."],
});
/** Spelt as clients of language servers pass it. */
const CLIENT_PROCESS_ID = optional(
  {
    long: "clientProcessId",
    metavar: "PID",
    completes: "pid",
    doc: ["Optional: End when this process does, like processId of initialize."],
  },
  parsePid,
);

export const rpc = defineCommand({
  description: [
    "Serve the same operations as JSON-RPC 2.0 over stdio.",
    "",
    "For editors and parent processes: messages are framed as in LSP, one process is one session.",
    "Logs go to stderr. The session ends with its input, after shutdown and exit, or with the",
    "process named in initialize.",
  ],
  fields: { openrpc: OPENRPC, stdio: STDIO, clientProcessId: CLIENT_PROCESS_ID },
  classic: { examples: [{ does: "Every method with its parameters, as JSON", line: "bpfman rpc --openrpc" }] },
  prepare:
    ({ openrpc, clientProcessId }) =>
    (session) =>
      openrpc ? session.describeRpc() : session.serve({ clientProcessId }),
});
