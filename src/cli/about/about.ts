/** Commands about bpfman itself, and its servers. */
import type { VersionAnswer } from "../../domain/answer.ts";
import { defineCommand, type Examples, optional, several, toggle, usageError } from "../command.ts";
import { parsePid } from "../parse/word.ts";
import { renderVersion, renderVersionLine } from "../render/version.ts";

function parseWords(text: string, where: string): readonly string[] {
  const words = text.split(/\s+/).filter((word) => word !== "");
  if (words.length === 0) throw usageError(`a command is needed${where}`, 'for example "sudo -n bpfman rpc"');
  return words;
}

export const help = defineCommand(() => ({
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
}));

const printing = (text: (answer: VersionAnswer) => string, examples: Examples) =>
  defineCommand(() => ({
    fields: {},
    classic: { examples },
    prepare: () => async (session) =>
      session.print(await session.invoke("version", { features: session.output === "json" }), text),
  }));

export const version = printing(renderVersion, {
  "Print it for scripts, with the features of the kernel": "bpfman version -o json",
});
export const versionLine = printing(renderVersionLine, {});

/** Both are spelt as clients of language servers pass them. */
const SERVER_FIELDS = {
  stdio: toggle({ long: "stdio", doc: ["Use stdin and stdout, which is the default. LSP clients pass this."] }),
  clientProcessId: optional(
    {
      long: "clientProcessId",
      metavar: "PID",
      completes: "pid",
      doc: ["Exit when this process does, like processId in initialize."],
    },
    parsePid,
  ),
};

export const lsp = defineCommand(() => ({
  description: [
    "Serves the Language Server Protocol over stdio, for editors: C sources of eBPF",
    "programs are compiled and checked by this kernel's verifier when they are opened",
    "and saved, and what is refused is shown at its line.",
    "",
    "It compiles as the user, and passes the objects to a process with privileges,",
    "bpfman rpc, which it starts with the command of --helper. Without --helper, it",
    "starts its own executable; if that has no privileges, programs are only compiled.",
    "Logs go to stderr.",
  ],
  fields: {
    helper: optional<readonly string[]>(
      {
        long: "helper",
        metavar: "COMMAND",
        env: "BPFMAN_LSP_HELPER",
        doc: [
          "Command that starts bpfman rpc with privileges, in one word; no shell runs it.",
          'Its own words are separated by spaces, as in "sudo -n bpfman rpc".',
        ],
      },
      parseWords,
    ),
    ...SERVER_FIELDS,
  },
  classic: {
    examples: {
      "Check with the privileges that sudo gives without a password": 'bpfman lsp --helper "sudo -n bpfman rpc"',
    },
  },
  prepare:
    ({ helper, clientProcessId }) =>
    (session) =>
      session.serveLanguage({ helper, clientProcessId }),
}));

export const rpc = defineCommand(() => ({
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
    ...SERVER_FIELDS,
  },
  classic: { examples: { "Print every method and its parameters, as JSON": "bpfman rpc --openrpc" } },
  prepare:
    ({ openrpc, clientProcessId }) =>
    (session) =>
      openrpc ? session.describeRpc() : session.serve({ clientProcessId }),
}));
