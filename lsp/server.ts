/** The language server: what a client of LSP asks and is told. It runs as the user; only its helper has privileges. */
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Readable, Writable } from "node:stream";
import { type Message, type MessageReader, StreamMessageReader, StreamMessageWriter } from "vscode-jsonrpc/node";
import {
  type CancellationToken,
  type CodeLens,
  CodeLensRefreshRequest,
  createConnection,
  createProtocolConnection,
  type Diagnostic,
  DidChangeConfigurationNotification,
  DidChangeWatchedFilesNotification,
  type DocumentSymbol,
  ErrorCodes,
  type ExecuteCommandParams,
  type Hover,
  type HoverParams,
  type InitializeParams,
  type InitializeResult,
  LSPErrorCodes,
  MessageType,
  type Range,
  ResponseError,
  SymbolKind,
  TextDocuments,
  TextDocumentSyncKind,
} from "vscode-languageserver";
import { TextDocument } from "vscode-languageserver-textdocument";
import { LANGUAGE_END_TIMEOUT_MS, PARENT_POLL_MS } from "../src/domain/limits.ts";
import type { LogPort } from "../src/domain/log.ts";
import type { ProcessIdentity } from "../src/domain/ids.ts";
import { BpfmanError } from "../src/errors/error.ts";
import { reasonOf } from "../src/errors/sys-failure.ts";
import type { Invoke } from "../src/service/invoke.ts";
import type { ProcessesPort } from "../src/platform/host.ts";
import type { CompilerPort } from "../src/platform/compiler.ts";
import { DisconnectedError, RpcError } from "../rpc/client/client.ts";
import { Checker } from "./checker.ts";
import { COMMANDS, Commands, isCommand, type Subject } from "./commands.ts";
import { lensTitle, mapHover, programHover } from "./describe.ts";
import type { Diagnostics, Sources } from "./diagnostics.ts";
import { Helper, NoHelper } from "./privileged.ts";
import { readOptions, readSettings, type Settings, SETTINGS_DEFAULT } from "./settings.ts";
import { type Declared, declaredIn, isForBpf } from "./source-text.ts";

/** The process that hosts the server. */
export interface LspHost {
  readonly input: Readable;
  readonly output: Writable;
  /** With the rights of the user. */
  readonly invoke: Invoke;
  readonly compiler: CompilerPort;
  readonly log: LogPort;
  processes(): Promise<ProcessesPort>;
  readonly version: string;
  /** Aborted when this process is told to exit. */
  readonly signal: AbortSignal;
  /** Another process whose exit ends the server; null for none. */
  readonly clientProcessId: number | null;
  /** What the user chose on the command line to start the helper; null for nothing. */
  readonly helper: readonly string[] | null;
  /** This executable, as a helper. */
  readonly own: readonly string[];
}

const EXIT_INTERRUPTED = 130;

/** Serves until the client or its process has gone, and returns the exit code. */
export const serveLanguage = (host: LspHost): Promise<number> => new LanguageServer(host).run();

/** Clients in languages with one type for lists and tables send `[]` where params have no fields. */
function withoutEmptyLists(reader: MessageReader): MessageReader {
  const emptied = (message: Message): Message => {
    const { params } = message as { readonly params?: unknown };
    return Array.isArray(params) && params.length === 0 ? ({ ...message, params: {} } as Message) : message;
  };
  return {
    onError: reader.onError,
    onClose: reader.onClose,
    onPartialMessage: reader.onPartialMessage,
    listen: (callback) => reader.listen((message) => callback(emptied(message))),
    dispose: () => reader.dispose(),
  };
}

class LanguageServer {
  readonly #host: LspHost;
  readonly #documents = new TextDocuments(TextDocument);
  readonly #connection;
  readonly #ending = Promise.withResolvers<number>();
  readonly #helper: Helper;
  readonly #checker: Checker;
  readonly #commands: Commands;
  /** Waits for further saves, by URI. */
  readonly #waiting = new Map<string, NodeJS.Timeout>();
  /** What was published, by the source that was checked, then by file. */
  readonly #published = new Map<string, Diagnostics>();
  readonly #parents: ProcessIdentity[] = [];
  #parentPoll: NodeJS.Timeout | null = null;
  #capabilities: InitializeParams["capabilities"] = {};
  #defaults: Settings = SETTINGS_DEFAULT;
  /** As the client answered, by URI, until they change. */
  readonly #settings = new Map<string, Promise<Settings>>();
  #trusted = true;
  #isInitialized = false;

  constructor(host: LspHost) {
    this.#host = host;
    const reader = withoutEmptyLists(new StreamMessageReader(host.input));
    const writer = new StreamMessageWriter(host.output);
    const watchDog = {
      shutdownReceived: false,
      initialize: () => {},
      exit: (code: number) => this.#ending.resolve(code),
    };
    reader.onError(({ message }) => host.log.error("what came is no message of LSP", { reason: message }));
    reader.onClose(() => {
      if (!this.#isInitialized) host.log.error("the input ended before initialize: editors start bpfman lsp");
      this.#ending.resolve(watchDog.shutdownReceived ? 0 : 1);
    });
    writer.onError(() => this.#ending.resolve(1));
    this.#connection = createConnection((logger) => createProtocolConnection(reader, writer, logger), watchDog);
    this.#helper = new Helper(host.helper, host.own, (message) => this.#tell(message));
    this.#checker = new Checker({
      host,
      helper: this.#helper,
      settingsOf: (uri) => this.#settingsOf(uri),
      sourceOf: (uri) => this.#sourceOf(uri),
      publish: (uri, diagnostics) => this.#publish(uri, diagnostics),
    });
    this.#commands = new Commands({
      helper: this.#helper,
      compile: (path, signal) => this.#checker.compile(this.#uriOf(path), signal),
      choose: async (question, choices) => {
        const actions = choices.map((title) => ({ title }));
        return (await this.#connection.window.showInformationMessage(question, ...actions))?.title ?? null;
      },
    });
  }

  async run(): Promise<number> {
    const { clientProcessId, signal } = this.#host;
    if (clientProcessId !== null && !(await this.#endWith(clientProcessId))) {
      throw new BpfmanError("INVALID_REQUEST", `serve the client with pid ${clientProcessId}: no such process here`, {
        details: { field: "clientProcessId" },
        hint: "omit --clientProcessId if the client runs in another PID namespace",
      });
    }
    const interrupted = (): void => this.#ending.resolve(EXIT_INTERRUPTED);
    if (signal.aborted) interrupted();
    signal.addEventListener("abort", interrupted, { once: true });
    this.#listen();
    const code = await this.#ending.promise;
    if (this.#parentPoll !== null) clearInterval(this.#parentPoll);
    for (const timer of this.#waiting.values()) clearTimeout(timer);
    // A helper may be waiting for a password, which nobody will type.
    const ended = this.#checker.end().then(() => this.#helper.end());
    await Promise.race([ended, Bun.sleep(LANGUAGE_END_TIMEOUT_MS)]);
    this.#connection.dispose();
    return code;
  }

  #listen(): void {
    const connection = this.#connection;
    const documents = this.#documents;
    connection.onInitialize((params) => this.#initialize(params));
    connection.onInitialized(() => this.#initialized());
    connection.onDidChangeConfiguration(({ settings }) => {
      this.#settings.clear();
      this.#defaults = readSettings(settings, this.#defaults);
      this.#checkAll();
    });
    connection.onDidChangeWatchedFiles(() => this.#checkAll());
    connection.onNotification("bpfman/didChangeTrust", (params: unknown) => {
      const { trusted } = readOptions(params);
      if (trusted === undefined || trusted === this.#trusted) return;
      this.#trusted = trusted;
      if (trusted) this.#checkAll();
      else for (const document of documents.all()) this.#forget(document.uri);
    });
    documents.onDidOpen(({ document }) => this.#checkSoon(document.uri));
    documents.onDidSave(({ document }) => {
      // A header is part of sources.
      if (this.#isSource(document.uri)) this.#checkSoon(document.uri);
      else this.#checkAll();
    });
    documents.onDidClose(({ document }) => {
      this.#settings.delete(document.uri);
      this.#forget(document.uri);
    });
    connection.onHover((params, token) => this.#hover(params, token));
    connection.onCodeLens(({ textDocument }) => this.#lenses(textDocument.uri));
    connection.onDocumentSymbol(({ textDocument }) => this.#symbols(textDocument.uri));
    connection.onExecuteCommand((params, token) => this.#execute(params, token));
    documents.listen(connection);
    connection.listen();
  }

  async #initialize(params: InitializeParams): Promise<InitializeResult> {
    const { processId, initializationOptions: given } = params;
    this.#isInitialized = true;
    this.#capabilities = params.capabilities ?? {};
    const { command, trusted = true } = readOptions(given);
    this.#trusted = trusted;
    this.#defaults = readSettings(given, SETTINGS_DEFAULT);
    if (command != null && this.#host.helper === null) this.#helper.restart(command);
    // A client in another PID namespace is noticed by the end of the input.
    if (typeof processId === "number") await this.#endWith(processId);
    return {
      serverInfo: { name: "bpfman", version: this.#host.version },
      capabilities: {
        textDocumentSync: {
          openClose: true,
          change: TextDocumentSyncKind.Incremental,
          save: { includeText: false },
        },
        hoverProvider: true,
        codeLensProvider: { resolveProvider: false },
        documentSymbolProvider: true,
        executeCommandProvider: { commands: [...COMMANDS] },
        workspace: { workspaceFolders: { supported: true, changeNotifications: true } },
      },
    };
  }

  #initialized(): void {
    const { workspace } = this.#capabilities;
    const { client } = this.#connection;
    // A client that refuses is one that tells of changes in its own way.
    const register = (registered: Promise<unknown>): void => void registered.catch(() => {});
    if (workspace?.didChangeConfiguration?.dynamicRegistration) {
      register(client.register(DidChangeConfigurationNotification.type, { section: "bpfman" }));
    }
    if (workspace?.didChangeWatchedFiles?.dynamicRegistration) {
      const watchers = [{ globPattern: "**/compile_commands.json" }, { globPattern: "**/*.h" }];
      register(client.register(DidChangeWatchedFilesNotification.type, { watchers }));
    }
  }

  /** Returns false if no process has that PID. */
  async #endWith(pid: number): Promise<boolean> {
    const processes = await this.#host.processes();
    const parent = processes.identity(pid);
    if (parent === null) return false;
    this.#parents.push(parent);
    this.#parentPoll ??= setInterval(() => {
      if (this.#parents.some((each) => processes.hasEnded(each))) this.#ending.resolve(1);
    }, PARENT_POLL_MS);
    return true;
  }

  #settingsOf(uri: string): Promise<Settings> {
    if (!this.#capabilities.workspace?.configuration) return Promise.resolve(this.#defaults);
    const known = this.#settings.get(uri);
    if (known !== undefined) return known;
    const asked = this.#connection.workspace.getConfiguration({ scopeUri: uri, section: "bpfman" }).then(
      (given: unknown) => readSettings(given, this.#defaults),
      () => this.#defaults,
    );
    this.#settings.set(uri, asked);
    return asked;
  }

  #pathOf(uri: string): string | null {
    try {
      return uri.startsWith("file:") ? fileURLToPath(uri) : null;
    } catch {
      return null;
    }
  }

  /** As the client spells it, if it has the file open. */
  #uriOf(path: string): string {
    const open = this.#documents.keys().find((uri) => this.#pathOf(uri) === path);
    return open ?? pathToFileURL(path).href;
  }

  #isSource(uri: string): boolean {
    const path = this.#pathOf(uri);
    const text = this.#documents.get(uri)?.getText();
    return path !== null && text !== undefined && isForBpf(path, text);
  }

  #sourceOf(uri: string): Omit<Sources, "read"> | null {
    const path = this.#pathOf(uri);
    if (!this.#trusted || path === null || !this.#isSource(uri)) return null;
    return {
      main: path,
      uriOf: (file) => this.#uriOf(file),
      programRange: (name) => {
        const found = this.#declared(uri).find((each) => each.kind === "program" && each.name === name);
        return found === undefined ? null : this.#nameRange(uri, found);
      },
    };
  }

  #declared(uri: string): readonly Declared[] {
    const text = this.#documents.get(uri)?.getText();
    return text === undefined || !this.#isSource(uri) ? [] : declaredIn(text);
  }

  #range(uri: string, start: number, end: number): Range {
    const document = this.#documents.get(uri);
    const at = (offset: number) => document?.positionAt(offset) ?? { line: 0, character: 0 };
    return { start: at(start), end: at(end) };
  }

  #nameRange(uri: string, { nameStart, name }: Declared): Range {
    return this.#range(uri, nameStart, nameStart + name.length);
  }

  #checkAll(): void {
    for (const { uri } of this.#documents.all()) this.#checkSoon(uri);
  }

  /** Checks a source, unless it is saved again soon. */
  #checkSoon(uri: string): void {
    if (this.#sourceOf(uri) === null) return;
    this.#settingsOf(uri).then(({ debounceMs }) => {
      clearTimeout(this.#waiting.get(uri));
      const timer = setTimeout(() => {
        this.#waiting.delete(uri);
        if (this.#documents.get(uri) !== undefined) this.#checkNow(uri);
      }, debounceMs);
      this.#waiting.set(uri, timer);
    });
  }

  async #checkNow(uri: string): Promise<void> {
    await this.#checker.check(uri);
    if (this.#capabilities.workspace?.codeLens?.refreshSupport) {
      // A client that does not answer asks again by itself.
      this.#connection.sendRequest(CodeLensRefreshRequest.type).catch(() => {});
    }
  }

  #forget(uri: string): void {
    clearTimeout(this.#waiting.get(uri));
    this.#waiting.delete(uri);
    this.#checker.close(uri).then(() => this.#publish(uri, new Map()));
  }

  /** Publishes, for each file of which this source says or said something, what all sources say. */
  #publish(source: string, diagnostics: Diagnostics): void {
    const before = this.#published.get(source) ?? new Map();
    if (diagnostics.size === 0) this.#published.delete(source);
    else this.#published.set(source, diagnostics);
    // The source comes last: who has heard of it has heard of all.
    const files = new Set([...before.keys(), ...diagnostics.keys()]);
    for (const uri of [...files].toSorted((a, b) => Number(a === source) - Number(b === source))) {
      const all: Diagnostic[] = [...this.#published.values()].flatMap((each) => each.get(uri) ?? []);
      this.#connection.sendDiagnostics({ uri, diagnostics: all }).catch(() => {});
    }
  }

  #tell(message: string): void {
    const params = { type: MessageType.Info, message };
    // A client that is gone ends the server anyway.
    this.#connection.sendNotification("window/showMessage", params).catch(() => {});
  }

  async #hover({ textDocument, position }: HoverParams, token: CancellationToken): Promise<Hover | null> {
    const { uri } = textDocument;
    const offset = this.#documents.get(uri)?.offsetAt(position);
    if (offset === undefined) return null;
    const declared = this.#declared(uri).find(({ start, headEnd }) => start <= offset && offset < headEnd);
    if (declared === undefined) return null;
    const checked = this.#checker.checkedOf(uri);
    const range = this.#nameRange(uri, declared);
    const { name } = declared;
    if (declared.kind === "map") {
      const map = checked?.inspected.maps.find((each) => each.name === name) ?? null;
      return { range, contents: { kind: "markdown", value: mapHover(declared, map) } };
    }
    const program = this.#checker.programOf(uri, name);
    // Without an answer, the helper is not there, or is busy with it.
    const loaded = program === null ? [] : await this.#loaded(uri, name, token);
    return { range, contents: { kind: "markdown", value: programHover({ declared, checked, program, loaded }) } };
  }

  #subject(uri: string, program: string, token: CancellationToken): Subject {
    const inspected = this.#checker.checkedOf(uri)?.inspected.programs.find(({ name }) => name === program);
    return { path: this.#pathOf(uri) ?? "", program, target: inspected?.target ?? null, signal: signalOf(token) };
  }

  async #loaded(uri: string, program: string, token: CancellationToken) {
    try {
      return await this.#commands.running(this.#subject(uri, program, token));
    } catch (thrown) {
      if (thrown instanceof RpcError || thrown instanceof DisconnectedError || thrown instanceof NoHelper) return [];
      throw thrown;
    }
  }

  async #lenses(uri: string): Promise<CodeLens[]> {
    const { codeLens } = await this.#settingsOf(uri);
    if (!codeLens || !this.#trusted) return [];
    return this.#declared(uri)
      .filter(({ kind }) => kind === "program")
      .flatMap((declared) => {
        const range = this.#nameRange(uri, declared);
        const lens = (title: string, command: string): CodeLens => ({
          range,
          command: { title, command, arguments: [uri, declared.name] },
        });
        return [
          lens("Load", "bpfman.load"),
          lens("Attach…", "bpfman.attach"),
          lens("Detach", "bpfman.detach"),
          lens(lensTitle(this.#checker.programOf(uri, declared.name)), "bpfman.check"),
        ];
      });
  }

  #symbols(uri: string): DocumentSymbol[] {
    return this.#declared(uri).map((declared) => ({
      name: declared.name,
      detail: declared.detail,
      kind: declared.kind === "program" ? SymbolKind.Function : SymbolKind.Struct,
      range: this.#range(uri, declared.start, declared.end),
      selectionRange: this.#nameRange(uri, declared),
    }));
  }

  /** Answers what was done, which is also shown. Throws ResponseError. */
  async #execute({ command, arguments: given = [] }: ExecuteCommandParams, token: CancellationToken): Promise<string> {
    if (!isCommand(command)) throw new ResponseError(ErrorCodes.InvalidParams, `unknown command "${command}"`);
    try {
      if (command === "bpfman.restart") {
        this.#helper.restart();
        this.#checkAll();
        return "everything is checked again";
      }
      const [uri, program = "", target = null] = given;
      const path = typeof uri === "string" ? this.#pathOf(uri) : null;
      if (path === null || typeof program !== "string" || this.#sourceOf(uri) === null) {
        const problem = this.#trusted
          ? "its arguments are the URI of an open source, and a program"
          : "the workspace is not trusted";
        throw new ResponseError(ErrorCodes.InvalidParams, `${command}: ${problem}`);
      }
      if (command === "bpfman.check") {
        await this.#checkNow(uri);
        return `"${path}" was checked`;
      }
      const subject = this.#subject(uri, program, token);
      const said = await this.#run(command, subject, target);
      this.#tell(said);
      return said;
    } catch (thrown) {
      if (thrown instanceof ResponseError) throw thrown;
      const code = thrown instanceof RpcError ? thrown.code : LSPErrorCodes.RequestFailed;
      const hint = thrown instanceof RpcError ? thrown.data?.hint : thrown instanceof BpfmanError ? thrown.hint : null;
      const message = reasonOf(thrown);
      throw new ResponseError(code, hint == null ? message : `${message}\n${hint}`);
    }
  }

  #run(
    command: "bpfman.load" | "bpfman.attach" | "bpfman.detach" | "bpfman.unload",
    subject: Subject,
    target: Parameters<Commands["attach"]>[1],
  ): Promise<string> {
    switch (command) {
      case "bpfman.load":
        return this.#commands.load(subject);
      case "bpfman.attach":
        return this.#commands.attach(subject, target);
      case "bpfman.detach":
        return this.#commands.detach(subject);
      case "bpfman.unload":
        return this.#commands.unload(subject);
    }
  }
}

function signalOf(token: CancellationToken): AbortSignal {
  const cancel = new AbortController();
  if (token.isCancellationRequested) cancel.abort();
  token.onCancellationRequested(() => cancel.abort());
  return cancel.signal;
}
