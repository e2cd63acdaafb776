/** The panel with what programs pass on through a buffer, or print. */
import type { Uri, WebviewView, WebviewViewProvider } from "vscode";
import { openPage } from "./page.ts";
import type { Session } from "./session.ts";

export const EVENTS_VIEW = "bpfman.events";

/** A buffer, or null for what programs print. */
export interface EventSource {
  readonly source: number | string | null;
  readonly title: string;
}

type Asked = { readonly ask: "ready" | "stop" | "again" };

export interface EventsViewOptions {
  readonly root: Uri;
  session(): Promise<Session>;
}

/** How long the page has for each batch: the server waits for it, and counts what is lost. */
const BATCH_MS = 100;

export class EventsView implements WebviewViewProvider {
  readonly #options: EventsViewOptions;
  #view: WebviewView | null = null;
  #isReady = false;
  #shown: EventSource | null = null;
  #following: AbortController | null = null;

  constructor(options: EventsViewOptions) {
    this.#options = options;
  }

  resolveWebviewView(view: WebviewView): void {
    this.#view = view;
    this.#isReady = false;
    view.onDidDispose(() => {
      this.stop();
      this.#view = null;
    });
    openPage<Asked>(view.webview, { root: this.#options.root, script: "events.js" }, ({ ask }) => {
      if (ask === "stop") return this.stop();
      this.#isReady = true;
      if (this.#shown !== null) this.show(this.#shown);
    });
  }

  /** Ends what was followed before. Begins once the page is there. */
  show(source: EventSource): void {
    this.stop();
    this.#shown = source;
    if (!this.#isReady) return;
    const following = new AbortController();
    this.#following = following;
    this.#post({ title: source.title, begin: true });
    this.#follow(source, following.signal).then(
      () => this.#end(following, "ended"),
      (cause) => this.#end(following, cause instanceof Error ? cause.message : String(cause)),
    );
  }

  stop(): void {
    this.#following?.abort();
    this.#following = null;
    this.#post({ ended: "stopped" });
  }

  async #follow({ source }: EventSource, signal: AbortSignal): Promise<void> {
    const session = await this.#options.session();
    const listener = async (results: readonly unknown[]): Promise<void> => {
      if (signal.aborted) return;
      this.#post({ at: new Date().toISOString().slice(11, 23), results });
      await new Promise((done) => setTimeout(done, BATCH_MS));
    };
    await session.follow(source, listener, signal);
  }

  #end(following: AbortController, reason: string): void {
    if (this.#following !== following) return;
    this.#following = null;
    this.#post({ ended: reason });
  }

  #post(message: object): void {
    if (this.#isReady) this.#view?.webview.postMessage(message);
  }
}
