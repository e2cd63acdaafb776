/** A window of Visual Studio Code: code-server on loopback, with chromium in front of it, driven by clicks and keys. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import puppeteer, { type Browser, type Frame, type Page } from "puppeteer-core";
import { editor } from "../../scripts/editor.ts";

const ROOT = resolve(import.meta.dir, "../..");
const PICTURES = join(ROOT, "docs/pictures");
/** What a window looked like when a test gave up. */
const FAILED = join(ROOT, "dist/editor-failed.png") as `${string}.png`;
const WAIT_MS = 60_000;
const POLL_MS = 50;
const VIEWPORT = { width: 1120, height: 680 } as const;

/** What makes pictures of it all alike, and keeps it from asking about itself. */
const SETTINGS = {
  "chat.disableAIFeatures": true,
  "editor.minimap.enabled": false,
  "extensions.autoUpdate": false,
  "git.enabled": false,
  "security.workspace.trust.startupPrompt": "never",
  "telemetry.telemetryLevel": "off",
  "workbench.editor.useModal": "off",
  "workbench.reduceMotion": "on",
  "workbench.secondarySideBar.defaultVisibility": "hidden",
  "workbench.startupEditor": "none",
};

type Server = Bun.Subprocess<"ignore", "pipe", "ignore">;

export class EditorWindow {
  readonly page: Page;
  readonly #browser: Browser;
  readonly #server: Server;

  private constructor(page: Page, browser: Browser, server: Server) {
    this.page = page;
    this.#browser = browser;
    this.#server = server;
  }

  /**
   * Installs extensions as `install` does it, a script in which `code` is the editor; then opens a window with a folder. All
   * that the editor keeps is below `home`.
   */
  static async open(
    home: string,
    { folder, install, settings }: { readonly folder: string; readonly install: string; readonly settings: object },
  ): Promise<EditorWindow> {
    const { command, chromium } = editor();
    const data = join(home, "data");
    const words = [...command, "--user-data-dir", data, "--extensions-dir", join(home, "extensions")];
    for (const scope of ["User", "Machine"]) {
      mkdirSync(join(data, scope), { recursive: true });
      writeFileSync(join(data, scope, "settings.json"), JSON.stringify({ ...SETTINGS, ...settings }));
    }
    const commands = join(home, "commands");
    mkdirSync(commands);
    const quoted = words.map((word) => `'${word}'`).join(" ");
    writeFileSync(join(commands, "code"), `#!/bin/sh\nexec ${quoted} "$@"\n`, { mode: 0o755 });
    const env = { PATH: `${commands}:${process.env.PATH}`, HOME: home, TMPDIR: home, XDG_RUNTIME_DIR: home };
    const installed = Bun.spawnSync(["bash", "-euc", install], { cwd: ROOT, env, stdout: "pipe", stderr: "pipe" });
    if (installed.exitCode !== 0) throw new Error(`${install}: ${installed.stdout}${installed.stderr}`);
    const options = ["--auth", "none", "--bind-addr", "127.0.0.1:0", "--disable-telemetry", "--disable-update-check"];
    const server = Bun.spawn([...words, ...options], { env, stdio: ["ignore", "pipe", "ignore"] });
    const browser = await puppeteer.launch({
      executablePath: chromium,
      // It runs as root here, and shows only what is on this machine.
      args: ["--no-sandbox", "--disable-dev-shm-usage"],
      userDataDir: join(home, "chromium"),
      defaultViewport: VIEWPORT,
      timeout: WAIT_MS,
    });
    const page = await browser.newPage();
    page.setDefaultTimeout(WAIT_MS);
    const window = new EditorWindow(page, browser, server);
    try {
      await page.goto(`${await addressOf(server)}/?folder=${encodeURIComponent(folder)}`);
      await window.see(".explorer-folders-view .monaco-list-row");
      return window;
    } catch (cause) {
      await window.close();
      throw cause;
    }
  }

  /** Waits until something is there, and has the text, if one is given. */
  async see(selector: string, text = "", where: Page | Frame = this.page): Promise<void> {
    await this.#wait(`"${text}" in ${selector}`, async () =>
      (await this.texts(selector, where)).some((each) => each.includes(text)),
    );
  }

  /** Waits until nothing of it is there. */
  async miss(selector: string): Promise<void> {
    await this.#wait(`no ${selector}`, async () => (await this.texts(selector)).length === 0);
  }

  async #wait(wanted: string, look: () => Promise<boolean>): Promise<void> {
    for (const end = Date.now() + WAIT_MS; !(await look()); await Bun.sleep(POLL_MS)) {
      if (Date.now() < end) continue;
      await this.page.screenshot({ path: FAILED });
      throw new Error(`the editor does not show ${wanted}; ${FAILED} has what it shows`);
    }
  }

  texts(selector: string, where: Page | Frame = this.page): Promise<string[]> {
    return where.$$eval(selector, (elements) => elements.map((element) => element.textContent ?? ""));
  }

  /** Clicks on the first that has the text. */
  async click(selector: string, text = "", count = 1, where: Page | Frame = this.page): Promise<void> {
    await this.see(selector, text, where);
    for (const element of await where.$$(selector)) {
      if (!(await element.evaluate((each) => each.textContent ?? "")).includes(text)) continue;
      await element.click({ count });
      return;
    }
    throw new Error(`${selector} with "${text}" went`);
  }

  async press(...keys: readonly Parameters<Page["keyboard"]["press"]>[0][]): Promise<void> {
    for (const key of keys) await this.page.keyboard.down(key);
    for (const key of keys.toReversed()) await this.page.keyboard.up(key);
  }

  /** From anywhere in that line. What a click chose is chosen a while after it, and a list may take the focus back. */
  async toStartOf(line: number): Promise<void> {
    // Home goes to the text of a line, then to its very start.
    const isAtStart = new RegExp(`^Ln ${line}, Col [15]$`);
    await this.#wait(`the cursor at the start of line ${line}`, async () => {
      await this.press("Control", "1");
      await this.press("Home");
      return (await this.texts(".statusbar-item")).some((text) => isAtStart.test(text.trim()));
    });
  }

  /** Runs a command by the name that the palette shows. */
  async command(name: string): Promise<void> {
    await this.press("F1");
    await this.answer(name);
  }

  /** Types into the input that is open, and takes the first row that has the text. */
  async answer(text: string): Promise<void> {
    await this.page.waitForSelector(".quick-input-widget input:focus");
    await this.page.keyboard.type(text);
    await this.click(".quick-input-list .monaco-list-row", text);
  }

  /** Takes what stands in the input that is open. */
  async accept(value: string): Promise<void> {
    await this.#wait(`an input with ${value}`, async () => {
      const values = await this.page.$$eval(".quick-input-widget input", (inputs) => inputs.map((each) => each.value));
      return values.includes(value);
    });
    await this.press("Enter");
  }

  /** The frame of a page of an extension, once it has something. */
  async frame(selector: string): Promise<Frame> {
    let found: Frame | undefined;
    await this.#wait(`a page with ${selector}`, async () => {
      for (const frame of this.page.frames()) {
        const isThere = frame !== this.page.mainFrame() && (await frame.$(selector).catch(() => null)) !== null;
        if (isThere) found = frame;
      }
      return found !== undefined;
    });
    if (found === undefined) throw new Error("unreachable");
    return found;
  }

  /** Keeps a picture of it for the documents, where that is wanted. */
  async picture(name: string): Promise<void> {
    if (process.env.UPDATE_PICTURES !== "1") return;
    mkdirSync(PICTURES, { recursive: true });
    await this.page.mouse.move(VIEWPORT.width - 100, VIEWPORT.height / 2);
    await this.miss(".workbench-hover");
    await this.page.screenshot({ path: `${PICTURES}/${name}.png` });
  }

  async close(): Promise<void> {
    await this.#browser.close();
    this.#server.kill("SIGTERM");
    await this.#server.exited;
  }
}

/** Reads on what the server says, so that it never waits for a reader. */
async function addressOf({ stdout }: Server): Promise<string> {
  const { promise, resolve: found, reject } = Promise.withResolvers<string>();
  (async () => {
    let said = "";
    for await (const text of stdout.pipeThrough(new TextDecoderStream())) {
      if (said.length < 10_000) said += text;
      const address = /http:\/\/127\.0\.0\.1:\d+/.exec(said)?.[0];
      if (address !== undefined) found(address);
    }
    reject(new Error(`code-server ended: ${said}`));
  })();
  return promise;
}
