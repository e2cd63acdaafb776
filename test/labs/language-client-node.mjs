// The client of the library on which VS Code's is built, in Node.js: opens a source, fixes it, and prints what it was told.
import { spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import protocol from "vscode-languageserver-protocol/node";

const [path, fixed, ...command] = process.argv.slice(2);
const uri = pathToFileURL(path).href;
const server = spawn(command[0], command.slice(1), { stdio: ["pipe", "pipe", "inherit"] });
const connection = protocol.createProtocolConnection(
  new protocol.StreamMessageReader(server.stdout),
  new protocol.StreamMessageWriter(server.stdin),
);
const published = [];
let wake = () => {};
connection.onNotification(protocol.PublishDiagnosticsNotification.type, (params) => {
  published.push(params.diagnostics);
  wake();
});
const next = async (count) => {
  while (published.length < count) await new Promise((done) => (wake = done));
  return published[count - 1];
};
connection.listen();
const { capabilities } = await connection.sendRequest(protocol.InitializeRequest.type, {
  processId: process.pid,
  clientInfo: { name: "client in Node.js" },
  rootUri: null,
  workspaceFolders: null,
  capabilities: { textDocument: { publishDiagnostics: { relatedInformation: true } } },
});
await connection.sendNotification(protocol.InitializedNotification.type, {});
const document = { uri, languageId: "c", version: 1, text: readFileSync(path, "utf8") };
await connection.sendNotification(protocol.DidOpenTextDocumentNotification.type, { textDocument: document });
const refused = await next(1);
const lines = readFileSync(fixed, "utf8");
writeFileSync(path, lines);
const changed = { textDocument: { uri, version: 2 }, contentChanges: [{ text: lines }] };
await connection.sendNotification(protocol.DidChangeTextDocumentNotification.type, changed);
await connection.sendNotification(protocol.DidSaveTextDocumentNotification.type, { textDocument: { uri } });
const after = await next(2);
const before = lines.split("count(")[0].split("\n");
const position = { line: before.length - 1, character: before.at(-1).length };
const hover = await connection.sendRequest(protocol.HoverRequest.type, { textDocument: { uri }, position });
const lenses = await connection.sendRequest(protocol.CodeLensRequest.type, { textDocument: { uri } });
await connection.sendRequest(protocol.ShutdownRequest.type);
await connection.sendNotification(protocol.ExitNotification.type);
const code = await new Promise((done) => server.once("close", done));
console.log(JSON.stringify({ capabilities, refused, after, hover, lenses, code, bun: process.versions.bun ?? null }));
