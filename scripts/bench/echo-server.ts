/** Measures the transport alone: vscode-jsonrpc with its own reader and writer, and a method that does nothing. */
import { createMessageConnection, StreamMessageReader, StreamMessageWriter } from "vscode-jsonrpc/node";

const connection = createMessageConnection(
  new StreamMessageReader(process.stdin),
  new StreamMessageWriter(process.stdout),
);
connection.onRequest("echo", (params: unknown) => params);
connection.onClose(() => process.exit(0));
connection.listen();
