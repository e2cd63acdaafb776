/** Commands about bpfman itself, and its JSON-RPC server. */
import type { VersionAnswer } from "../../domain/answer.ts";
import { defineCommand, type Examples, optional, several, toggle } from "../command.ts";
import { parsePid } from "../parse/word.ts";
import { renderVersion, renderVersionLine } from "../render/version.ts";

export const help = defineCommand({
  fields: {
    topic: several({
      takes: "list",
      long: "command",
      doc: ["Command to describe, word by word."],
      completes: "command",
    }),
  },
  classic: {
    words: ["topic"],
    examples: { "Show everything about one command": "bpfman help attach tcx" },
  },
  prepare:
    ({ topic }) =>
    async (session) =>
      session.help(topic),
});

const printing = (text: (answer: VersionAnswer) => string, examples: Examples) =>
  defineCommand({
    fields: {},
    classic: { examples },
    prepare: () => async (session) =>
      session.print(await session.invoke("version", { features: session.output === "json" }), text),
  });

export const version = printing(renderVersion, {
  "Print it for scripts, with the features of the kernel": "bpfman version -o json",
});
export const versionLine = printing(renderVersionLine, {});

export const rpc = defineCommand({
  description: [
    "Serves all operations as JSON-RPC 2.0 over stdio, for editors and other parent",
    "processes. Messages are framed as in LSP, and one process is one session.",
    "",
    "Logs go to stderr. The session ends when its input ends, after shutdown and",
    "exit, or when the process named in initialize exits.",
  ],
  fields: {
    openrpc: toggle({
      long: "openrpc",
      doc: ["Print the OpenRPC document, which describes every method, and exit."],
    }),
    stdio: toggle({ long: "stdio", doc: ["Use stdin and stdout, which is the default. LSP clients pass this."] }),
    /** Spelt as clients of language servers pass it. */
    clientProcessId: optional(
      {
        long: "clientProcessId",
        metavar: "PID",
        completes: "pid",
        doc: ["Exit when this process does, like processId in initialize."],
      },
      parsePid,
    ),
  },
  classic: { examples: { "Print every method and its parameters, as JSON": "bpfman rpc --openrpc" } },
  prepare:
    ({ openrpc, clientProcessId }) =>
    (session) =>
      openrpc ? session.describeRpc() : session.serve({ clientProcessId }),
});
