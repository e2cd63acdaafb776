import type { DaemonOptions, Settings } from "../../src/domain/settings.ts";
import type { ScreenEvents, ServeLanguageOptions, ServeOptions } from "../../src/cli/command.ts";
import { type CliHost, runCli } from "../../src/cli/run.ts";
import type { Invoke } from "../../src/service/invoke.ts";
import type { Context } from "../../src/service/operation.ts";

export interface Call {
  readonly name: string;
  readonly request: unknown;
  readonly context: Partial<Context>;
}

export interface CliRun {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  /** Files that were written: text by path. */
  readonly saved: Readonly<Record<string, string>>;
  /** What became of the terminal. */
  readonly screens: readonly string[];
  /** How each session was to be served. */
  readonly served: readonly (DaemonOptions | ServeLanguageOptions | ServeOptions)[];
  /** What was invoked, in order. */
  readonly calls: readonly Call[];
  /** The settings of each connect. */
  readonly connected: readonly Settings[];
}

export interface CliWorld {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly terminal?: boolean;
  /** Width of the terminal. */
  readonly columns?: number;
  readonly signal?: AbortSignal;
  /** What stdin has. */
  readonly input?: string;
  /** Answers a call, or throws. Without it a call answers null. */
  answer?(call: Call): unknown;
  /** Exit code of a session of the JSON-RPC server. */
  readonly sessionEnds?: number;
  /** Types when the screen opens, and whenever it was drawn: what is drawn is the argument. Without it there is no terminal. */
  types?(events: ScreenEvents, shown: readonly string[]): void;
  /** Called in place of a connect that works. */
  refuse?(): never;
}

/** Runs a command line, split at blanks, against a service that only remembers what it was asked. */
export async function cli(line: string | readonly string[], world: CliWorld = {}): Promise<CliRun> {
  const args = typeof line === "string" ? line.split(" ").filter((word) => word !== "") : line;
  const calls: Call[] = [];
  const connected: Settings[] = [];
  const served: (DaemonOptions | ServeLanguageOptions | ServeOptions)[] = [];
  const saved: Record<string, string> = {};
  const screens: string[] = [];
  const text = { out: "", err: "" };
  const invoke = (async (name: string, request: unknown, context: Partial<Context> = {}) => {
    const call = { name, request, context };
    calls.push(call);
    return world.answer?.(call) ?? null;
  }) as unknown as Invoke;
  const columns = world.terminal === true ? (world.columns ?? null) : null;
  const host: CliHost = {
    args,
    env: world.env ?? {},
    stdoutIsTerminal: world.terminal ?? false,
    stderrIsTerminal: world.terminal ?? false,
    stdoutColumns: columns,
    stderrColumns: columns,
    out: (more) => {
      text.out += typeof more === "string" ? more : new TextDecoder().decode(more);
      return true;
    },
    err: (more) => {
      text.err += more;
    },
    settleIn: () => {},
    isAbandoned: () => true,
    watch: async () => ({ close: async () => {} }),
    input: async () => new TextEncoder().encode(world.input ?? ""),
    followInterfaces: async () => ({ wait: () => true, close: () => {} }),
    save: (path, more) => {
      saved[path] = more;
      return path;
    },
    signal: world.signal ?? new AbortController().signal,
    openScreen: (events) => {
      const { types } = world;
      if (types === undefined) return null;
      screens.push("opened");
      return {
        size: () => ({ columns: 80, rows: 24 }),
        draw: (lines) => types(events, lines),
        close: () => void screens.push("closed"),
      };
    },
    async connect(settings) {
      connected.push(settings);
      world.refuse?.();
      return invoke;
    },
    async serve(settings, options) {
      connected.push(settings);
      served.push(options);
      return world.sessionEnds ?? 0;
    },
    async serveLanguage(_settings, options) {
      served.push(options);
      return 0;
    },
    async serveDaemon(settings, options) {
      connected.push(settings);
      served.push(options);
      return 0;
    },
    describeRpc: async () => ({ openrpc: "1.3.2" }),
  };
  const code = await runCli(host);
  return { code, ...text, saved, calls, connected, served, screens };
}
