/** The extension: the tree, its commands, the pages of maps and events, the status bar, and the language server. */
import {
  type CancellationToken,
  commands,
  type ExtensionContext,
  type OutputChannel,
  Position,
  ProgressLocation,
  Range,
  StatusBarAlignment,
  type StatusBarItem,
  type TextDocument,
  Uri,
  window,
  workspace,
} from "vscode";
import type { SourceLine } from "../../../src/domain/object-file.ts";
import type { StatsAnswer } from "../../../src/domain/stats-answer.ts";
import { RpcError } from "../../../rpc/client/client.ts";
import { type AttachTarget, lacksFunction, type Question, questionsFor, targetOf } from "./attach-form.ts";
import { EVENTS_VIEW, EventsView } from "./events-view.ts";
import type { Language } from "./language.ts";
import { MapViews } from "./map-view.ts";
import { type Machine, openSession, type Session } from "./session.ts";
import { type Node, Tree } from "./tree.ts";

type NodeOf<Is extends Node["is"]> = Extract<Node, { is: Is }>;

/** How long runs are counted for each number in the tree. */
const COUNTED_MS = 2000;
/** How soon the offers follow what is typed. */
const OFFER_MS = 150;
const COMMAND_SETTINGS = ["executable", "helper", "arguments"] as const;

/** What the user or the machine has set; a workspace cannot. */
function commandSettings() {
  const settings = workspace.getConfiguration("bpfman");
  return {
    helper: settings.get<string[]>("helper", []),
    executable: settings.get<string>("executable", "bpfman"),
    arguments: settings.get<string[]>("arguments", []),
  };
}

/** Opens a session when one is needed, and a new one after the server is gone. */
class Sessions {
  readonly #onChange: (machine: Machine | null) => void;
  readonly #output: OutputChannel;
  #session: Promise<Session> | null = null;

  /** `onChange` gets null when the session ends. */
  constructor(onChange: (machine: Machine | null) => void, output: OutputChannel) {
    this.#onChange = onChange;
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
    const { helper, executable, arguments: words } = commandSettings();
    const [first = "bpfman", ...rest] = [...helper, executable, ...words, "rpc"];
    return openSession({
      command: [first, ...rest],
      cleanup: workspace.getConfiguration("bpfman").get<boolean>("cleanup", true),
      onLog: (text) => this.#output.append(text),
      onChange: this.#onChange,
      onEnd: (reason) => {
        this.#session = null;
        this.#onChange(null);
        window.showWarningMessage(`bpfman: ${reason}. Refresh to restart it.`);
      },
    });
  }
}

/** Counts runs while somebody looks. */
class Counters {
  readonly #sessions: Sessions;
  readonly #show: (counted: StatsAnswer | null) => void;
  #counting: AbortController | null = null;
  /** Whether members of chains are counted, too, for which programs are put on them. */
  members = false;

  constructor(sessions: Sessions, show: (counted: StatsAnswer | null) => void) {
    this.#sessions = sessions;
    this.#show = show;
  }

  async start(): Promise<void> {
    if (this.#counting !== null || !workspace.getConfiguration("bpfman").get<boolean>("counters", true)) return;
    const counting = new AbortController();
    this.#counting = counting;
    const counted = { intervalMs: COUNTED_MS, members: () => this.members };
    try {
      const session = await this.#sessions.get();
      await session.count(counted, this.#show, counting.signal);
    } finally {
      if (this.#counting === counting) this.#counting = null;
    }
  }

  stop(): void {
    this.#counting?.abort();
    this.#counting = null;
    this.#show(null);
  }
}

let end: () => Promise<void> = async () => {};

export function activate(context: ExtensionContext): void {
  const output = window.createOutputChannel("bpfman");
  const tree = new Tree();
  const status = window.createStatusBarItem("bpfman.status", StatusBarAlignment.Right);
  status.name = "eBPF";
  status.command = "bpfman.programs.focus";
  const sessions = new Sessions((machine) => {
    tree.show(machine ?? undefined);
    showStatus(status, machine);
  }, output);
  const view = window.createTreeView("bpfman.programs", { treeDataProvider: tree });
  const counters = new Counters(sessions, (counted) => {
    tree.count(counted);
    // Why there are no numbers.
    const reasons = [counted?.not_counted, counted?.members_not_counted].filter((reason) => reason != null);
    view.message = reasons.length === 0 ? "" : `Not counted: ${reasons.join("; ")}`;
  });
  const report = (cause: unknown): void => void tell(cause, output);
  const places = { root: context.extensionUri, session: () => sessions.get(), tell: report };
  const maps = new MapViews(places);
  const events = new EventsView(places);

  /** Registers a command that shows its errors, with the verifier log in the output channel. */
  const register = (name: string, run: (session: Session, argument: never) => unknown): void => {
    const whole = async (argument: never): Promise<void> => {
      try {
        await run(await sessions.get(), argument);
      } catch (cause) {
        await tell(cause, output);
      }
    };
    context.subscriptions.push(commands.registerCommand(name, whole));
  };
  const look = (): void => void (view.visible ? counters.start().catch(report) : counters.stop());
  // The server has commands of its own, such as bpfman.load: these names begin otherwise.
  register("bpfman.tree.refresh", async (session) => {
    await session.refresh();
    look();
  });
  register("bpfman.tree.load", load);
  register("bpfman.tree.attach", attach);
  register("bpfman.tree.detach", (session, { link }: NodeOf<"link">) => session.detach(link.id));
  register("bpfman.tree.unload", (session, { program }: NodeOf<"program">) => session.unload(program.program_id));
  register("bpfman.tree.countMembers", () => {
    counters.members = !counters.members;
  });
  register("bpfman.map.show", async (session, node?: NodeOf<"map">) => {
    const chosen = node?.map ?? (await chooseMap(session));
    if (chosen !== null) maps.show(chosen.id, chosen.name);
  });
  register("bpfman.events.show", async (session, node?: NodeOf<"map">) => {
    const chosen = node === undefined ? await chooseSource(session) : sourceOf(node);
    if (chosen === null) return;
    events.show(chosen);
    await commands.executeCommand(`${EVENTS_VIEW}.focus`);
  });
  register("bpfman.trace.show", async () => {
    events.show({ source: null, title: "What programs print (bpf_printk)" });
    await commands.executeCommand(`${EVENTS_VIEW}.focus`);
  });

  const language = new Languages(sessions, report);
  end = async () => {
    events.stop();
    counters.stop();
    await Promise.all([language.stop(), sessions.close()]);
  };
  const pages = window.registerWebviewViewProvider(EVENTS_VIEW, events, {
    webviewOptions: { retainContextWhenHidden: true },
  });
  context.subscriptions.push(output, view, status, pages);
  // The helper may ask for a password, so wait until somebody opens the view.
  const begin = (): void => {
    if (view.visible) commands.executeCommand("bpfman.tree.refresh");
    else counters.stop();
  };
  context.subscriptions.push(
    view.onDidChangeVisibility(begin),
    workspace.onDidOpenTextDocument((document) => language.opened(document)),
    workspace.onDidChangeConfiguration(async (change) => {
      if (!COMMAND_SETTINGS.some((name) => change.affectsConfiguration(`bpfman.${name}`))) return;
      await end();
      for (const document of workspace.textDocuments) language.opened(document);
      begin();
    }),
  );
  for (const document of workspace.textDocuments) language.opened(document);
  begin();
}

export async function deactivate(): Promise<void> {
  await end();
  end = async () => {};
}

/** The language server, from the first C source on. */
class Languages {
  readonly #sessions: Sessions;
  readonly #tell: (cause: unknown) => void;
  #language: Promise<Language | null> | null = null;

  constructor(sessions: Sessions, report: (cause: unknown) => void) {
    this.#sessions = sessions;
    this.#tell = report;
  }

  opened({ languageId, uri }: TextDocument): void {
    if (languageId === "c" && uri.scheme === "file") this.#language ??= this.#start();
  }

  async stop(): Promise<void> {
    const language = await this.#language;
    this.#language = null;
    await language?.stop();
  }

  async #start(): Promise<Language | null> {
    try {
      const { startLanguage } = await import("./language.ts");
      return await startLanguage({
        ...commandSettings(),
        tell: this.#tell,
        askTarget: async (uri, name, loadFirst) => {
          const session = await this.#sessions.get();
          const path = Uri.parse(uri).fsPath;
          if ((await session.newestOf(path, name)) === null) await loadFirst();
          const program = await session.newestOf(path, name);
          return program === null ? null : askTarget(session, program.type, name);
        },
      });
    } catch (cause) {
      this.#tell(cause);
      return null;
    }
  }
}

function showStatus(status: StatusBarItem, machine: Machine | null): void {
  if (machine === null) {
    status.hide();
    return;
  }
  const count = (many: number, what: string): string => `${many} ${what}${many === 1 ? "" : "s"}`;
  const programs = count(machine.programs.length, "program");
  const links = count(machine.programs.flatMap((each) => each.links).length, "link");
  status.text = `$(circuit-board) eBPF: ${programs}, ${links}`;
  status.tooltip = "eBPF programs and links that bpfman has on this machine";
  status.show();
}

async function load(session: Session, file: Uri): Promise<void> {
  // A section can fit several types, but a program is loaded as one of them.
  const offered = await session.programsIn(file.fsPath);
  const nameIn = (value: string): string => value.slice(value.indexOf(":") + 1);
  const items = offered.flatMap(({ value, description }, index) => {
    const values = offered.map((each) => each.value).filter((each) => nameIn(each) === nameIn(value));
    if (offered.findIndex((each) => nameIn(each.value) === nameIn(value)) < index) return [];
    return [{ label: values.length > 1 ? nameIn(value) : value, description, values }];
  });
  const title = `Load from ${file.fsPath}`;
  const picked = await window.showQuickPick(items, { title, canPickMany: true });
  if (picked === undefined || picked.length === 0) return;
  const programs: string[] = [];
  for (const { label: name, values } of picked) {
    const label = values.length > 1 ? await window.showQuickPick(values, { title: `Load ${name} as` }) : values[0];
    if (label === undefined) return;
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

async function attach(session: Session, { program }: NodeOf<"program">): Promise<void> {
  const target = await askTarget(session, program.type, program.function_name);
  if (target !== null) await session.attach(program.program_id, target);
}

/** Asks where to attach a program; null if the user leaves at a question. */
async function askTarget(session: Session, type: string, name: string): Promise<AttachTarget | null> {
  const answers: Record<string, string> = {};
  for (const question of questionsFor(type)) {
    const { prompt, value, choices } = question;
    const title = `Attach ${name}`;
    const answer =
      question.offers !== undefined
        ? await askOffering(session, question, { title, file: answers[question.file ?? ""] ?? null })
        : choices === undefined
          ? await window.showInputBox({ title, prompt, value })
          : await window.showQuickPick([...choices], { title: prompt });
    if (answer === undefined) return null;
    answers[question.name] = answer;
  }
  return targetOf(type, answers);
}

/** A picker of what the server completes, while it is typed. What it does not offer is taken as it was typed. */
function askOffering(
  session: Session,
  { prompt, value, offers }: Question,
  { title, file }: { readonly title: string; readonly file: string | null },
): Promise<string | undefined> {
  const picker = window.createQuickPick();
  picker.title = title;
  picker.placeholder = prompt;
  picker.value = value;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let asked = 0;
  const offer = async (typed: string): Promise<void> => {
    const turn = ++asked;
    picker.busy = true;
    const values = offers === undefined ? [] : await session.complete(offers, typed, file).catch(() => []);
    if (turn !== asked) return;
    const items = values.map(({ value: label, description }) => ({ label, description }));
    const isThere = typed === "" || items.some(({ label }) => label === typed);
    picker.items = isThere ? items : [...items, { label: typed, description: "as typed", alwaysShow: true }];
    picker.busy = false;
  };
  return new Promise((resolve) => {
    picker.onDidChangeValue((typed) => {
      clearTimeout(timer);
      timer = setTimeout(() => offer(typed), OFFER_MS);
    });
    picker.onDidAccept(() => {
      resolve(picker.selectedItems[0]?.label ?? picker.value);
      picker.hide();
    });
    picker.onDidHide(() => {
      clearTimeout(timer);
      resolve(undefined);
      picker.dispose();
    });
    offer(value);
    picker.show();
  });
}

async function chooseMap(session: Session) {
  const { maps } = await session.call("map/list", { view: "summary" });
  const items = maps.map((map) => ({ label: map.name, description: `${map.map_type} · map ${map.id}`, map }));
  return (await window.showQuickPick(items, { title: "Show the Entries of a Map" }))?.map ?? null;
}

const sourceOf = ({ map }: NodeOf<"map">) => ({ source: map.id, title: `${map.name} · map ${map.id}` });

async function chooseSource(session: Session) {
  const items = (await session.complete("event-source", "")).map(({ value, description }) => ({
    label: value,
    description,
  }));
  const chosen = await window.showQuickPick(items, { title: "Show the Events of a Buffer or Program" });
  if (chosen === undefined) return null;
  const { label } = chosen;
  return { source: /^\d+$/.test(label) ? Number(label) : label, title: label };
}

async function tell(cause: unknown, output: OutputChannel): Promise<void> {
  const message = cause instanceof Error ? cause.message : String(cause);
  const data = cause instanceof RpcError ? cause.data : null;
  const hint = data?.hint ? ` Hint: ${data.hint}.` : "";
  const log = data?.verifierLog ?? null;
  const { file = null, line = null } = (data?.details.source ?? {}) as Partial<Pick<SourceLine, "file" | "line">>;
  const place = file === null || line === null ? "" : ` At ${file}:${line}.`;
  if (log !== null) output.appendLine(`${message}${place}\n${log}`);
  const choices = [...(place === "" ? [] : ["Show Source"]), ...(log === null ? [] : ["Show Log"])];
  const chosen = await window.showErrorMessage(`bpfman: ${message}.${place}${hint}`, ...choices);
  if (chosen === "Show Log") output.show();
  if (chosen !== "Show Source" || file === null || line === null) return;
  const start = new Position(line - 1, 0);
  await window.showTextDocument(Uri.file(file), { selection: new Range(start, start) });
}
