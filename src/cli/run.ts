/** The command line: turns arguments into a request, runs it, renders the answer. */
import { DOCUMENT_BYTES_MAX } from "../domain/limits.ts";
import type { DaemonOptions, Settings } from "../domain/settings.ts";
import { BpfmanError } from "../errors/error.ts";
import { reasonOf } from "../errors/sys-failure.ts";
import type { Context, Invoke } from "../service/invoke.ts";
import {
  type FollowedInterfaces,
  pathOf,
  type Screen,
  type ScreenEvents,
  type ServeLanguageOptions,
  type ServeOptions,
  type Session,
  type WatchedChange,
  type WhatToFollow,
} from "./command.ts";
import { ROOT } from "./commands.ts";
import { errorFormatOf, GLOBALS, type Globals, showsColors } from "./globals.ts";
import { printable, printableBlock, printableJson } from "../domain/printable.ts";
import { nounAnswer, renderJson } from "./render/json.ts";
import {
  exitCodeOf,
  isUsage,
  nounExitCodeOf,
  type Phase,
  renderCrash,
  renderError,
  renderErrorJson,
  renderStack,
} from "./render/report.ts";
import { newTrail, route, topic, type Trail } from "./parse/line.ts";
import type { Line } from "./parse/origin.ts";
import { readValues } from "./parse/values.ts";
import type { Detail } from "./render/help.ts";

/** The process that runs a command. */
export interface CliHost {
  /** Without the name of the executable. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdoutIsTerminal: boolean;
  readonly stderrIsTerminal: boolean;
  /** Width of the terminal on stdout; null if there is none or its width is unknown. */
  readonly stdoutColumns: number | null;
  readonly stderrColumns: number | null;
  /** Returns false if the reader has closed its end. */
  out(text: string | Uint8Array): boolean;
  err(text: string): void;
  /** Called by a command that goes on for long, which runs its code often. */
  settleIn(): void;
  /** Whether the reader of stdout has closed its end. */
  isAbandoned(): boolean;
  input(bytesMax: number): Promise<Uint8Array>;
  followInterfaces(what: WhatToFollow): Promise<FollowedInterfaces>;
  /** Writes a file, creating its directories, and returns its path. */
  save(path: string, text: string): string;
  /** Aborted when the user interrupts the command. */
  readonly signal: AbortSignal;
  /** Connects to the operations. Not called for help or an invalid command line. */
  connect(settings: Settings): Promise<Invoke>;
  /** Takes over the terminal; null if stdin or stdout is none. */
  openScreen(events: ScreenEvents): Screen | null;
  /** Reports changes on this host after number `since`, or from now on, until it is closed; warns if some are not known any more. */
  watch(settings: Settings, since: number | null, changed: (change: WatchedChange) => void): Promise<Watch>;
  /** Serves JSON-RPC over stdin and stdout until the session ends; returns the exit code. */
  serve(settings: Settings, options: ServeOptions): Promise<number>;
  /** The same for the Language Server Protocol. */
  serveLanguage(settings: Settings, options: ServeLanguageOptions): Promise<number>;
  /** Serves gRPC on Unix sockets until the process is told to exit; returns the exit code. */
  serveDaemon(settings: Settings, options: DaemonOptions): Promise<number>;
  describeRpc(): Promise<unknown>;
}

export interface Watch {
  close(): Promise<void>;
}

// Only loaded when needed, so that a successful command does not pay for it. Uses `require`, because error reporting
// cannot await `import()`.
const help = () => require("./render/help.ts") as typeof import("./render/help.ts");
const origin = () => require("./parse/origin.ts") as typeof import("./parse/origin.ts");
const habits = () => require("./habits.ts") as typeof import("./habits.ts");

/** The DaemonSet of bpfman-operator passes this option alone. */
const withServe = (args: readonly string[]): readonly string[] =>
  args[0] === "--csi-support" ? ["serve", ...args] : args;

// The first `require` of a process costs six times as much as an `import()`.
async function helpFor({ trail, host }: Run, detail: Detail): Promise<string> {
  if (trail.nodes.length === 1 && host.stdoutColumns === null) {
    return (await import("./render/root-help.ts")).ROOT_HELP[detail];
  }
  return (await import("./render/help.ts")).helpOf(trail, detail, host.stdoutColumns);
}

/** Runs a command line and returns the exit code. Never throws. */
export async function runCli(host: CliHost): Promise<number> {
  const run: Run = {
    host,
    trail: newTrail(ROOT, withServe(host.args)),
    globals: null,
    phase: "usage",
    operationId: null,
    progressShown: false,
  };
  try {
    const next = await route(run.trail, host.env);
    if (next.kind === "help") {
      host.out(await helpFor(run, next.detail));
      return 0;
    }
    if (next.kind === "incomplete") {
      host.err(await help().helpOf(run.trail, "short", host.stdoutColumns));
      return 2;
    }
    const { command, given } = next;
    const { fields } = command;
    const { output: common, ...others } = GLOBALS;
    const isOwn = Object.values(fields).some(({ long }) => long === common.long);
    const read = { output: null, ...(await readValues(isOwn ? others : GLOBALS, given)) };
    run.globals = { ...read, output: read.output ?? command.output ?? "text" };
    const values = await readValues(fields, given);
    // Formats of one command only are text to everything else.
    if (isOwn && values.output === "json") run.globals = { ...run.globals, output: "json" };
    const action = command.prepare(values);
    run.phase = "run";
    const { session, exitCode } = openSession(run, run.globals, { fields, values, given });
    await action(session);
    return exitCode();
  } catch (error) {
    return report(await withContents(error, run), run);
  }
}

/** A line that names an object, but none of its programs as they are written, is told what the object holds. */
async function withContents(error: unknown, { host, trail: { given, lacks } }: Run): Promise<unknown> {
  if (given === null || !(error instanceof BpfmanError) || error.hint !== null) return error;
  const asks = lacks.some(({ completes }) => completes === "object-program") || error.code === "INVALID_PROGRAM";
  if (!asks) return error;
  const { contentsHint } = await import("./complete/contents.ts");
  const hint = await contentsHint(given, async () => {
    return host.connect(settingsOf(await readValues(GLOBALS, given)));
  });
  return hint === null ? error : error.with({ hint });
}

interface Run {
  readonly host: CliHost;
  readonly trail: Trail;
  /** Generated only if something fails, because the random number generator takes time to initialise. */
  operationId: string | null;
  /** Null until they are parsed. */
  globals: Globals | null;
  phase: Phase;
  /** A progress line is on the terminal and must be erased before anything else is written. */
  progressShown: boolean;
}

function operationIdOf(run: Run): string {
  run.operationId ??= crypto.randomUUID();
  return run.operationId;
}

/** What remains of the global options are settings. */
function settingsOf({ output: _, errorFormat: __, noColor: ___, help: ____, ...settings }: Globals): Settings {
  return settings;
}

const isColored = ({ globals, host }: Run): boolean => globals?.noColor !== true && showsColors(host.env);

const CLEAR_LINE = "\r\x1b[K";

function endProgress(run: Run): void {
  if (run.progressShown) run.host.err(CLEAR_LINE);
  run.progressShown = false;
}

function openSession(run: Run, globals: Globals, line: Line): { session: Session; exitCode(): number } {
  const { host } = run;
  let connection: Promise<Invoke> | null = null;
  const output = globals.output ?? "text";
  let settings = settingsOf(globals);
  let code = 0;
  const contextOf = (request: unknown): Partial<Context> => ({
    calledAs: pathOf(run.trail.nodes),
    nameOf: (path) => origin().originOf(line, request, path),
    get operationId() {
      return operationIdOf(run);
    },
    signal: host.signal,
    lockTimeoutMs: settings.lockTimeoutMs,
    progress: (message) => {
      if (!host.stderrIsTerminal) return;
      run.progressShown = true;
      host.err(`${CLEAR_LINE}${printable(message)}`);
    },
    relay: (line) => {
      endProgress(run);
      host.err(`${printable(line)}\n`);
    },
  });
  const call: Invoke = async (name, request, more = {}) => {
    connection ??= host.connect(settings);
    const context = Object.defineProperties(contextOf(request), Object.getOwnPropertyDescriptors(more));
    return (await connection)(name, request, context);
  };
  const session: Session = {
    output,
    tree: ROOT,
    invoke: call,
    async stream(name, request) {
      const isJson = output === "json";
      let begun = false;
      const write = (bytes: Uint8Array): boolean => {
        if (!begun && isJson) host.out("[\n");
        begun = true;
        return host.out(bytes);
      };
      try {
        await call(name, request, { sink: { separator: isJson ? ",\n" : "\n", write } });
        if (!begun && isJson) host.out("[");
      } catch (thrown) {
        // What was printed is to be valid, whatever follows.
        if (begun) host.out(isJson ? "\n]\n" : "\n");
        throw thrown;
      }
      if (isJson) host.out(begun ? "\n]\n" : "]\n");
      else if (begun) host.out("\n");
    },
    async streamText(name, request) {
      const decoder = new TextDecoder();
      const isJson = output === "json";
      const shown = (bytes: Uint8Array): string | Uint8Array => {
        if (!isJson && !host.stdoutIsTerminal) return bytes;
        const text = decoder.decode(bytes, { stream: true });
        return isJson ? JSON.stringify(text).slice(1, -1) : printableBlock(text);
      };
      let begun = false;
      const write = (bytes: Uint8Array): boolean => {
        if (!begun && isJson) host.out('"');
        begun = true;
        return host.out(shown(bytes));
      };
      try {
        await call(name, request, { sink: { separator: "", write } });
        if (!begun && isJson) host.out('"');
        begun = true;
      } finally {
        // What was printed is to be valid, whatever follows.
        if (begun && isJson) host.out('"\n');
      }
    },
    async follow(name, request, text) {
      const lines = text === undefined || output === "json" ? null : linesOf(text as (result: unknown) => string);
      const write = (bytes: Uint8Array): boolean => {
        endProgress(run);
        return host.out(lines === null ? bytes : lines(bytes));
      };
      host.settleIn();
      try {
        const isAbandoned = (): boolean => host.isAbandoned();
        return await call(name, request, { sink: { separator: "\n", mayBlock: true, isAbandoned, write } });
      } catch (thrown) {
        if (!(thrown instanceof BpfmanError) || thrown.code !== "CANCELLED") throw thrown;
        session.exitWith(exitCodeOf(thrown, "run"));
        return null;
      } finally {
        endProgress(run);
      }
    },
    async watch(how, text) {
      const { followChanges } = await import("./list/follow-changes.ts");
      const write = (change: WatchedChange): boolean =>
        host.out(output === "json" ? `${printableJson(JSON.stringify(change))}\n` : text(change));
      session.exitWith(await followChanges(host, settings, how, write));
    },
    moveTo(places) {
      settings = { ...settings, ...places };
    },
    print(answer, text) {
      endProgress(run);
      const shown =
        output === "json"
          ? renderJson(run.trail.noun ? nounAnswer(answer) : answer)
          : text(answer, {
              styled: isColored(run) && host.stdoutIsTerminal,
              columns: host.stdoutColumns,
            });
      if (shown !== "") host.out(shown);
    },
    write: (text) => host.out(text),
    save(directory, files) {
      const paths = files.map(({ name, text }) => host.save(`${directory}/${name}`, text));
      session.print({ files: paths }, () => paths.map((path) => `${path}\n`).join(""));
    },
    endWith(own) {
      if (code === 0) code = own;
    },
    fail(error) {
      const own = report(error, run);
      if (code === 0) code = own;
    },
    exitWith(own) {
      if (code === 0) code = own;
    },
    async input() {
      const bytes = await host.input(DOCUMENT_BYTES_MAX);
      try {
        return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
      } catch {
        throw new BpfmanError("IO_FAILED", "read stdin: it is not written in UTF-8");
      }
    },
    warn(error) {
      report(error, run);
    },
    followInterfaces(what) {
      host.settleIn();
      return host.followInterfaces(what);
    },
    isAbandoned: () => host.isAbandoned(),
    signal: host.signal,
    openScreen: (events) => host.openScreen(events),
    async serve(options) {
      code = await host.serve(settings, options);
    },
    async serveLanguage(options) {
      code = await host.serveLanguage(settings, options);
    },
    async serveDaemon(options) {
      code = await host.serveDaemon(settings, options);
    },
    async describeRpc() {
      host.out(renderJson(await host.describeRpc()));
    },
    async help(words) {
      host.out(await help().helpOf(await topic(ROOT, words), "long", host.stdoutColumns));
    },
  };
  return { session, exitCode: () => code };
}

/** Turns lines of JSON, which may come in pieces, into text. */
function linesOf(text: (result: unknown) => string): (bytes: Uint8Array) => string {
  const decoder = new TextDecoder();
  let rest = "";
  return (bytes) => {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    return lines.map((line) => text(JSON.parse(line))).join("");
  };
}

/** Writes a failure to stderr and returns its exit code. */
function report(cause: unknown, run: Run): number {
  const { host, trail, globals, phase } = run;
  endProgress(run);
  const thrown = cause instanceof BpfmanError ? cause : mistake(cause, operationIdOf(run));
  const isMistaken = phase === "usage" ? thrown.kind === "invalid" : isStranger(thrown);
  const error = isMistaken ? withHabit(thrown, host.args, phase === "usage") : thrown;
  const { noun } = trail;
  if (errorFormatOf(trail, host.env, globals) === "json") host.err(renderErrorJson(error));
  else if (error.kind === "internal") host.err(renderCrash(error));
  else {
    const styled = host.stderrIsTerminal && isColored(run);
    const columns = host.stderrColumns;
    const wrap = (text: string): string =>
      columns === null ? text : help().wrapped(text, help().columnsFor(columns)).join("\n");
    host.err(renderError(error, { noun, styled, wrap }));
    if (isUsage(error, phase))
      host.err(`\n${help().usageFor(trail, columns)}\n\ntry "${pathOf(trail.nodes)} --help"\n`);
  }

  const level = globals?.logLevel;
  if (error.kind === "internal" && (level === "debug" || level === "trace")) host.err(renderStack(error));
  return noun ? nounExitCodeOf(error) : exitCodeOf(error, phase);
}

/** What stands for a name is unlike any there is: perhaps an interface, or a word of another tool. */
const isStranger = ({ kind, details, hint }: BpfmanError): boolean =>
  kind === "not-found" && typeof details.named === "string" && hint?.startsWith("did you mean") !== true;

/**
 * If a line that is not understood matches another tool's syntax, that is the most helpful hint. A line that is understood
 * keeps its own, which says what names there are.
 */
function withHabit(error: BpfmanError, args: readonly string[], isUsage: boolean): BpfmanError {
  const habit = habits().insteadOf(args);
  if (habit === null) return error;
  return error.with({ hint: isUsage || error.hint === null ? habit : `${error.hint}; ${habit}` });
}

function mistake(cause: unknown, operationId: string): BpfmanError {
  return new BpfmanError("INTERNAL", `${reasonOf(cause)} (operation ${operationId})`, { cause });
}
