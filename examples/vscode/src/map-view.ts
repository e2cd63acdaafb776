/** A map in a tab: its entries by their types, as they are now, to be changed. */
import { type Uri, ViewColumn, type WebviewPanel, window } from "vscode";
import type { MapDumpAnswer, MapEntryAnswer } from "../../../src/domain/answer.ts";
import { MAP_PAGE_ENTRIES_MAX } from "../../../src/domain/limits.ts";
import { openPage } from "./page.ts";
import type { Session } from "./session.ts";

/** What the page asks for. */
type Asked =
  | { readonly ask: "ready" | "refresh" | "more" }
  | { readonly ask: "live"; readonly live: boolean }
  | { readonly ask: "update"; readonly key: unknown; readonly value: unknown; readonly create: boolean }
  | { readonly ask: "delete"; readonly key: unknown };

const LIVE_MS = 1000;
const SHOWN_FIRST = 200;

export interface MapViewOptions {
  readonly root: Uri;
  session(): Promise<Session>;
  tell(cause: unknown): void;
}

export class MapViews {
  readonly #options: MapViewOptions;
  readonly #open = new Map<number, MapView>();

  constructor(options: MapViewOptions) {
    this.#options = options;
  }

  show(id: number, name: string): void {
    const there = this.#open.get(id);
    if (there !== undefined) {
      there.panel.reveal();
      return;
    }
    const view = new MapView(id, name, this.#options);
    this.#open.set(id, view);
    view.panel.onDidDispose(() => this.#open.delete(id));
  }
}

class MapView {
  readonly panel: WebviewPanel;
  readonly #id: number;
  readonly #options: MapViewOptions;
  #limit = SHOWN_FIRST;
  #live = true;
  #reading = false;
  #isOpen = true;

  constructor(id: number, name: string, options: MapViewOptions) {
    this.#id = id;
    this.#options = options;
    this.panel = window.createWebviewPanel("bpfman.map", name, ViewColumn.Active, { retainContextWhenHidden: true });
    openPage<Asked>(this.panel.webview, { root: options.root, script: "map.js" }, (asked) => this.#obey(asked));
    const timer = setInterval(() => {
      if (this.#live && this.panel.visible) this.#read();
    }, LIVE_MS);
    this.panel.onDidDispose(() => {
      clearInterval(timer);
      this.#isOpen = false;
    });
  }

  async #obey(asked: Asked): Promise<void> {
    if (asked.ask === "live") this.#live = asked.live;
    if (asked.ask === "more") this.#limit = Math.min(this.#limit * 10, MAP_PAGE_ENTRIES_MAX);
    if (asked.ask === "update" || asked.ask === "delete") await this.#change(asked);
    await this.#read();
  }

  async #change(asked: Extract<Asked, { ask: "update" | "delete" }>): Promise<void> {
    const { ask, key } = asked;
    // Queues and stacks have no keys.
    const entry = { map: this.#id, ...(key === undefined ? {} : { key }) };
    try {
      const session = await this.#options.session();
      if (ask === "delete") await session.call("map/delete", entry);
      else await session.call("map/update", { ...entry, value: asked.value, mode: asked.create ? "create" : "any" });
    } catch (cause) {
      this.#options.tell(cause);
    }
  }

  async #read(): Promise<void> {
    // One that is slow is not asked again meanwhile.
    if (this.#reading) return;
    this.#reading = true;
    const shown = await this.#look().catch((cause) => {
      this.#live = false;
      return { failed: cause instanceof Error ? cause.message : String(cause) };
    });
    this.#reading = false;
    // The tab may have been closed while the map was read.
    if (this.#isOpen) await this.panel.webview.postMessage({ ...shown, live: this.#live });
  }

  async #look() {
    const session = await this.#options.session();
    const map = await session.call("map/get", { map: this.#id });
    const entries: MapEntryAnswer[] = [];
    let cursor: string | null = null;
    do {
      const page: MapDumpAnswer = await session.call("map/dump", {
        ...{ map: this.#id, limit: this.#limit - entries.length, cursor },
      });
      entries.push(...page.entries);
      cursor = page.next;
    } while (cursor !== null && entries.length < this.#limit);
    return { map, entries, isCut: cursor !== null, hasMore: cursor !== null && this.#limit < MAP_PAGE_ENTRIES_MAX };
  }
}
