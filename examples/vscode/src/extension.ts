/** The extension: a tree of programs and links, and the commands of its context menus. */
import {
  type CancellationToken,
  commands,
  EventEmitter,
  type ExtensionContext,
  type OutputChannel,
  ProgressLocation,
  ThemeIcon,
  type TreeDataProvider,
  TreeItem,
  TreeItemCollapsibleState,
  type Uri,
  window,
  workspace,
} from "vscode";
import { RpcError } from "../../../rpc/client/client.ts";
import { lacksFunction, questionsFor, targetOf } from "./attach-form.ts";
import { type LinkEntry, openSession, placeOf, type ProgramNode, type Session } from "./session.ts";

type Node = ProgramNode | LinkEntry;
const isProgram = (node: Node): node is ProgramNode => "program" in node;

class Tree implements TreeDataProvider<Node> {
  readonly #changes = new EventEmitter<undefined>();
  readonly onDidChangeTreeData = this.#changes.event;
  #programs: readonly ProgramNode[] = [];

  show(programs: readonly ProgramNode[]): void {
    this.#programs = programs;
    this.#changes.fire(undefined);
  }

  getChildren(node?: Node): readonly Node[] & Node[] {
    if (node === undefined) return [...this.#programs];
    return isProgram(node) ? [...node.links] : [];
  }

  getTreeItem(node: Node): TreeItem {
    if (isProgram(node)) {
      const { program_id, function_name, type, application } = node.program;
      const item = new TreeItem(
        function_name,
        node.links.length > 0 ? TreeItemCollapsibleState.Expanded : TreeItemCollapsibleState.None,
      );
      item.id = `program ${program_id}`;
      item.description = [type, program_id, application].filter((part) => part !== null).join(" · ");
      item.contextValue = "program";
      item.iconPath = new ThemeIcon("symbol-function");
      return item;
    }
    const item = new TreeItem(placeOf(node), TreeItemCollapsibleState.None);
    item.id = `link ${node.id}`;
    item.description = `link ${node.id}`;
    item.contextValue = "link";
    item.iconPath = new ThemeIcon("link");
    return item;
  }
}

/** Opens a session when one is needed, and a new one after the server is gone. */
class Sessions {
  readonly #tree: Tree;
  readonly #output: OutputChannel;
  #session: Promise<Session> | null = null;

  constructor(tree: Tree, output: OutputChannel) {
    this.#tree = tree;
    this.#output = output;
  }

  get(): Promise<Session> {
    this.#session ??= this.#open().catch((cause) => {
      this.#session = null;
      throw cause;
    });
    return this.#session;
  }

  async close(): Promise<void> {
    const session = await this.#session?.catch(() => null);
    this.#session = null;
    await session?.close();
  }

  #open(): Promise<Session> {
    const settings = workspace.getConfiguration("bpfman");
    const words = [
      ...settings.get<string[]>("helper", []),
      settings.get<string>("executable", "bpfman"),
      ...settings.get<string[]>("arguments", []),
      "rpc",
    ];
    const [first = "bpfman", ...rest] = words;
    return openSession({
      command: [first, ...rest],
      cleanup: settings.get<boolean>("cleanup", true),
      onLog: (text) => this.#output.append(text),
      onChange: (programs) => this.#tree.show(programs),
      onEnd: (reason) => {
        this.#session = null;
        this.#tree.show([]);
        window.showWarningMessage(`bpfman: ${reason}. Refresh to restart it.`);
      },
    });
  }
}

let sessions: Sessions | null = null;

export function activate(context: ExtensionContext): void {
  const output = window.createOutputChannel("bpfman");
  const tree = new Tree();
  const own = new Sessions(tree, output);
  sessions = own;

  /** Registers a command that shows its errors, with the verifier log in the output channel. */
  const register = (name: string, run: (session: Session, argument: never) => Promise<void>): void => {
    const whole = async (argument: never): Promise<void> => {
      try {
        await run(await own.get(), argument);
      } catch (cause) {
        await tell(cause, output);
      }
    };
    context.subscriptions.push(commands.registerCommand(name, whole));
  };
  register("bpfman.refresh", (session) => session.refresh());
  register("bpfman.load", load);
  register("bpfman.attach", attach);
  register("bpfman.detach", (session, link: LinkEntry) => session.detach(link.id));
  register("bpfman.unload", (session, node: ProgramNode) => session.unload(node.program.program_id));

  const view = window.createTreeView("bpfman.programs", { treeDataProvider: tree });
  context.subscriptions.push(output, view);
  // The helper may ask for a password, so wait until somebody opens the view.
  const begin = (): void => void (view.visible && commands.executeCommand("bpfman.refresh"));
  context.subscriptions.push(view.onDidChangeVisibility(begin));
  begin();
}

export async function deactivate(): Promise<void> {
  await sessions?.close();
  sessions = null;
}

async function load(session: Session, file: Uri): Promise<void> {
  const offered = await session.programsIn(file.fsPath);
  const items = offered.map(({ value, description }) => ({ label: value, description }));
  const title = `Load from ${file.fsPath}`;
  const picked = await window.showQuickPick(items, { title, canPickMany: true });
  if (picked === undefined || picked.length === 0) return;
  const programs: string[] = [];
  for (const { label } of picked) {
    const what = label.startsWith("freplace:")
      ? "Function to replace, as PROGRAM/FUNCTION,"
      : "Kernel function, or LSM hook,";
    const prompt = `${what} of ${label}`;
    const target = lacksFunction(label) ? await window.showInputBox({ title, prompt }) : "";
    if (target === undefined) return;
    programs.push(target === "" ? label : `${label}:${target}`);
  }
  await window.withProgress({ location: ProgressLocation.Notification, title, cancellable: true }, (_, token) =>
    session.load({ file: file.fsPath, programs, signal: signalOf(token) }),
  );
}

function signalOf(token: CancellationToken): AbortSignal {
  const abort = new AbortController();
  token.onCancellationRequested(() => abort.abort());
  return abort.signal;
}

async function attach(session: Session, { program }: ProgramNode): Promise<void> {
  const answers: Record<string, string> = {};
  for (const { name, prompt, value, choices } of questionsFor(program.type)) {
    const words = choices === "interface" ? await session.interfaces() : choices;
    const answer =
      words === undefined
        ? await window.showInputBox({ title: `Attach ${program.function_name}`, prompt, value })
        : await window.showQuickPick([...words], { title: prompt });
    if (answer === undefined) return;
    answers[name] = answer;
  }
  await session.attach(program.program_id, targetOf(program.type, answers));
}

async function tell(cause: unknown, output: OutputChannel): Promise<void> {
  const message = cause instanceof Error ? cause.message : String(cause);
  const data = cause instanceof RpcError ? cause.data : null;
  const hint = data?.hint ? ` Hint: ${data.hint}.` : "";
  const log = data?.verifierLog ?? null;
  if (log !== null) output.appendLine(`${message}\n${log}`);
  const chosen = await window.showErrorMessage(`bpfman: ${message}.${hint}`, ...(log === null ? [] : ["Show Log"]));
  if (chosen === "Show Log") output.show();
}
