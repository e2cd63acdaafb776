/** A client of the language server over pipes: it sends what an editor sends, and keeps what it is told. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import {
  createMessageConnection,
  type MessageConnection,
  StreamMessageReader,
  StreamMessageWriter,
} from "vscode-jsonrpc/node";
import type { Diagnostic, Hover } from "vscode-languageserver";

export interface LanguageClientOptions {
  readonly initializationOptions?: unknown;
  /** What else goes into `initialize`. */
  readonly params?: Readonly<Record<string, unknown>>;
  readonly capabilities?: unknown;
  /** Answers of the client to requests of the server, by method. */
  readonly answers?: Readonly<Record<string, (params: never) => unknown>>;
  readonly env?: Readonly<Record<string, string>>;
}

export const uriOf = (path: string): string => pathToFileURL(path).href;

export class LanguageClient {
  readonly rpc: MessageConnection;
  readonly pid: number;
  /** Texts of window/showMessage and window/showMessageRequest. */
  readonly messages: string[] = [];
  readonly ended: Promise<{ readonly code: number | null; readonly error: string }>;
  readonly #child;
  readonly #published = new Map<string, { readonly count: number; readonly diagnostics: Diagnostic[] }>();
  #woken: (() => void)[] = [];
  #versions = 0;

  constructor(command: readonly string[], { answers = {}, env = {} }: LanguageClientOptions = {}) {
    const [executable = "", ...words] = command;
    this.#child = spawn(executable, words, {
      env: { PATH: process.env.PATH ?? "", ...env },
      stdio: ["pipe", "pipe", "pipe"],
    });
    this.pid = this.#child.pid ?? 0;
    let error = "";
    this.#child.stderr.setEncoding("utf8").on("data", (text: string) => {
      error += text;
    });
    this.#child.stdin.on("error", () => {});
    this.ended = once(this.#child, "close").then(([code]) => ({ code: code as number | null, error }));
    this.rpc = createMessageConnection(
      new StreamMessageReader(this.#child.stdout),
      new StreamMessageWriter(this.#child.stdin),
    );
    this.rpc.onNotification("textDocument/publishDiagnostics", ({ uri, diagnostics }) => {
      this.#published.set(uri, { count: this.count(uri) + 1, diagnostics });
      for (const wake of this.#woken.splice(0)) wake();
    });
    this.rpc.onNotification("window/showMessage", ({ message }) => void this.messages.push(message));
    this.rpc.onRequest((method: string, params: unknown) => {
      if (method === "window/showMessageRequest") this.messages.push((params as { message: string }).message);
      return answers[method]?.(params as never) ?? null;
    });
    this.rpc.onNotification("window/logMessage", () => {});
    this.rpc.listen();
  }

  /** Starts a server and initializes it. */
  static async start(command: readonly string[], options: LanguageClientOptions = {}): Promise<LanguageClient> {
    const client = new LanguageClient(command, options);
    await client.rpc.sendRequest("initialize", {
      processId: process.pid,
      capabilities: options.capabilities ?? {},
      rootUri: null,
      initializationOptions: options.initializationOptions,
      ...options.params,
    });
    await client.rpc.sendNotification("initialized", {});
    return client;
  }

  /** How often diagnostics of a file were published. */
  count(uri: string): number {
    return this.#published.get(uri)?.count ?? 0;
  }

  diagnosticsOf(path: string): Diagnostic[] {
    return this.#published.get(uriOf(path))?.diagnostics ?? [];
  }

  /** Does something, and waits for the next diagnostics of a file. */
  async next(path: string, act: () => Promise<unknown> | unknown): Promise<Diagnostic[]> {
    const uri = uriOf(path);
    const before = this.count(uri);
    await act();
    while (this.count(uri) === before) {
      await Promise.race([
        new Promise<void>((resolve) => this.#woken.push(resolve)),
        this.ended.then(({ code, error }) => {
          throw new Error(`the server ended with ${code} instead of diagnostics: ${error}`);
        }),
      ]);
    }
    return this.diagnosticsOf(path);
  }

  /** Opens a file as it is on disk, and answers its diagnostics. */
  open(path: string): Promise<Diagnostic[]> {
    return this.next(path, () => this.show(path));
  }

  show(path: string, languageId = "c"): Promise<void> {
    return this.rpc.sendNotification("textDocument/didOpen", {
      textDocument: { uri: uriOf(path), languageId, version: this.#versions++, text: readFileSync(path, "utf8") },
    });
  }

  /** Changes the text in the editor only. */
  edit(path: string, text: string): Promise<void> {
    return this.rpc.sendNotification("textDocument/didChange", {
      textDocument: { uri: uriOf(path), version: this.#versions++ },
      contentChanges: [{ text }],
    });
  }

  /** Saves a file, with another text if one is given, and answers its diagnostics. */
  save(path: string, text: string | null = null): Promise<Diagnostic[]> {
    return this.next(path, () => this.write(path, text));
  }

  async write(path: string, text: string | null = null): Promise<void> {
    if (text !== null) {
      await this.edit(path, text);
      writeFileSync(path, text);
    }
    await this.rpc.sendNotification("textDocument/didSave", { textDocument: { uri: uriOf(path) } });
  }

  close(path: string): Promise<Diagnostic[]> {
    return this.next(path, () =>
      this.rpc.sendNotification("textDocument/didClose", { textDocument: { uri: uriOf(path) } }),
    );
  }

  /** What a hover shows at the first place of a word; null for nothing. */
  async hover(path: string, word: string): Promise<string | null> {
    const before = readFileSync(path, "utf8").split(word)[0]?.split("\n") ?? [];
    const position = { line: before.length - 1, character: before.at(-1)?.length ?? 0 };
    const hover = await this.rpc.sendRequest<Hover | null>("textDocument/hover", {
      ...{ textDocument: { uri: uriOf(path) }, position },
    });
    return hover === null ? null : (hover.contents as { readonly value: string }).value;
  }

  command(name: string, ...words: readonly unknown[]): Promise<string> {
    return this.rpc.sendRequest("workspace/executeCommand", { command: name, arguments: words });
  }

  /** Ends the session as an editor does, and answers the exit code. */
  async stop(): Promise<number | null> {
    await this.rpc.sendRequest("shutdown");
    await this.rpc.sendNotification("exit");
    return (await this.ended).code;
  }

  /** The end of its input. */
  hangUp(): void {
    this.#child.stdin.end();
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }
}
