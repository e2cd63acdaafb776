/**
 * Visual Studio Code for test/e2e/vscode-window.test.ts, as code-server, which serves it to a browser: `bun scripts/editor.ts`
 * installs it from npm into ~/.cache/bpfman-editor, with the Node.js that it needs. Some 900 MB; not part of `npm test`.
 */
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

const VERSION = "4.139.1";
const NODE_VERSION = "24.9.0";
const NODE_PACKAGE = `node-linux-${process.arch}`;
const CHROMIUM = "/usr/bin/chromium";

const CACHE = process.env.XDG_CACHE_HOME || join(homedir(), ".cache");
const DIRECTORY = join(CACHE, "bpfman-editor", `${VERSION}-${process.arch}`);
const NODE = `node_modules/${NODE_PACKAGE}`;
const SERVER = "node_modules/code-server";

export interface Editor {
  /** Starts code-server; its options follow. */
  readonly command: readonly [string, string];
  readonly chromium: string;
}

/** Why there is no editor here; null if there is. */
export const missingEditor = (): string | null =>
  [DIRECTORY, CHROMIUM].every((path) => existsSync(path))
    ? null
    : "npm run test:editor installs code-server and chromium";

export const editor = (): Editor => ({
  command: [join(DIRECTORY, NODE, "bin/node"), join(DIRECTORY, SERVER, "out/node/entry.js")],
  chromium: CHROMIUM,
});

function run(cwd: string, path: string, ...command: readonly string[]): void {
  const env = { ...process.env, PATH: `${path}:${process.env.PATH}` };
  const { exitCode } = Bun.spawnSync([...command], { cwd, env, stdio: ["ignore", "inherit", "inherit"] });
  if (exitCode !== 0) throw new Error(`"${command.join(" ")}" failed with exit code ${exitCode}`);
}

function install(): void {
  const partial = `${DIRECTORY}.partial`;
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(partial, { recursive: true });
  const dependencies = { "code-server": VERSION, [NODE_PACKAGE]: NODE_VERSION };
  writeFileSync(join(partial, "package.json"), JSON.stringify({ private: true, dependencies }));
  const node = join(partial, NODE);
  const npm = ["npm", "install", "--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund", "--loglevel=error"];
  run(partial, "", ...npm);
  const vscode = join(partial, SERVER, "lib/vscode");
  run(vscode, join(node, "bin"), ...npm);
  // Its scripts download from elsewhere; of the native modules, only this one is needed to start.
  const gyp = ["npm", "rebuild", "--foreground-scripts", "--loglevel=error", "@vscode/spdlog"];
  run(vscode, join(node, "bin"), ...gyp, `--nodedir=${node}`);
  renameSync(partial, DIRECTORY);
}

if (import.meta.main) {
  if (!existsSync(DIRECTORY)) install();
  const reason = missingEditor();
  if (reason !== null) throw new Error(`the editor is not complete: ${reason}`);
}
