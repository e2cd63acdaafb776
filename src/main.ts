/** The executable: turns a command line into an exit code. Only this file ends the process. */
import { exitAtOnce } from "../ffi/safe/exit.ts";
import { fstatSync, writeSync } from "../ffi/safe/file-system.ts";
import { LibraryError } from "../ffi/safe/library.ts";
import { buildInfo } from "./build-info.ts";
import type { WatchedChange } from "./cli/command.ts";
import { runCli } from "./cli/run.ts";
import type { Settings } from "./domain/settings.ts";
import { BpfmanError } from "./errors/error.ts";

const BUSY_PAUSE_MS = 2;
const READY_POLL_MS = 1000;

/** If libc cannot be called, the error that says so must still be written. */
function writeSome(fd: number, bytes: Uint8Array): number {
  try {
    return writeSync(fd, bytes);
  } catch (thrown) {
    if (!(thrown instanceof LibraryError)) throw thrown;
    return (require("node:fs") as typeof import("node:fs")).writeSync(fd, bytes);
  }
}

/** What a pipe that can be written to takes without blocking (PIPE_BUF, pipe(7)). */
const PIPE_BUF = 4096;
/** The command goes on until it is ended, which a reader that pauses must not prevent. */
let isEndless = false;
/** Standard output once more, if it is a pipe and the command is endless; this one does not block. */
let ownEnd: number | null = null;

/** Writes some of it to standard output, as soon as there is room. Meanwhile signals end the process at once. */
function writeWhenReady(bytes: Uint8Array): number {
  if (ownEnd !== null) {
    try {
      return writeSome(ownEnd, bytes);
    } catch (cause) {
      if ((cause as { readonly code?: string }).code !== "EAGAIN") throw cause;
    }
  }
  const { POLLOUT, waitFor } = require("../ffi/safe/ready.ts") as typeof import("../ffi/safe/ready.ts");
  if (!waitFor([1], 0, POLLOUT)) {
    const { withDefaultSignals } = require("../ffi/safe/signals.ts") as typeof import("../ffi/safe/signals.ts");
    withDefaultSignals(() => {
      while (!waitFor([1], READY_POLL_MS, POLLOUT));
    });
  }
  return ownEnd === null ? writeSome(1, bytes.subarray(0, PIPE_BUF)) : 0;
}

/**
 * Writes all of it before returning, even to a pipe that is currently full. If the reader has closed the pipe (`|
 * head`), the rest is dropped without an error, and the answer is false.
 */
function writeAll(fd: number, text: string | Uint8Array): boolean {
  let rest: Uint8Array = typeof text === "string" ? new TextEncoder().encode(text) : text;
  while (rest.length > 0) {
    try {
      rest = rest.subarray(isEndless && fd === 1 ? writeWhenReady(rest) : writeSome(fd, rest));
    } catch (cause) {
      const { code } = cause as { readonly code?: string };
      if (code === "EPIPE") return false;
      if (code !== "EAGAIN") {
        const { reasonOf } = require("./errors/sys-failure.ts") as typeof import("./errors/sys-failure.ts");
        const what = fd === 1 ? "output" : "error";
        throw new BpfmanError("IO_FAILED", `write to standard ${what}: ${reasonOf(cause)}`, { cause });
      }
      Bun.sleepSync(BUSY_PAUSE_MS);
    }
  }
  return true;
}

/**
 * Replaces the file atomically: an existing file stays unchanged until the new one is complete, and a failure leaves no
 * temporary file.
 */
function saveFile(path: string, text: string): void {
  const fs = require("node:fs") as typeof import("node:fs");
  const { dirname } = require("node:path") as typeof import("node:path");
  try {
    fs.mkdirSync(dirname(path), { recursive: true });
    const target = fs.existsSync(path) ? fs.realpathSync(path) : path;
    const draft = `${target}.${process.pid}.new`;
    const file = fs.openSync(draft, "wx");
    try {
      fs.writeFileSync(file, text);
      fs.renameSync(draft, target);
    } catch (cause) {
      fs.unlinkSync(draft);
      throw cause;
    } finally {
      fs.closeSync(file);
    }
  } catch (cause) {
    const { reasonOf } = require("./errors/sys-failure.ts") as typeof import("./errors/sys-failure.ts");
    throw new BpfmanError("IO_FAILED", `write "${path}": ${reasonOf(cause)}`, { details: { path }, cause });
  }
}

/**
 * Approximates isatty(3), which takes 2.7 ms to import. Other character devices, mainly /dev/null, show no output
 * anyway.
 */
function isTerminal(fd: number): boolean {
  try {
    return fstatSync(fd).isCharacterDevice();
  } catch {
    return false;
  }
}

/** The width from COLUMNS, else the terminal's. */
function columnsOf(fd: number): number | null {
  const stated = Number(process.env.COLUMNS);
  if (Number.isInteger(stated) && stated > 0) return stated;
  const { terminalColumns } = require("../ffi/safe/terminal.ts") as typeof import("../ffi/safe/terminal.ts");
  return terminalColumns(fd);
}

/** Explains on a terminal that input is expected, and in what form; a user would otherwise see nothing. */
function explainWaiting(): void {
  if (!isTerminal(0) || !(require("node:tty") as typeof import("node:tty")).isatty(0)) return;
  writeAll(2, "waiting for JSON-RPC on stdin, framed as in LSP; Ctrl-D ends the session\n");
}

/** Returns if libc cannot be called. */
function endAtOnce(code: number): void {
  try {
    exitAtOnce(code);
  } catch (thrown) {
    if (!(thrown instanceof LibraryError)) throw thrown;
  }
}

/** The whole command line of a worker, which learns everything else from its server. */
const WORKER = ["rpc", "--worker"] as const;

/** This very executable, even if another one has replaced it since. */
const itself = (): string[] => ["/proc/self/exe", ...(Bun.main.startsWith("/$bunfs/") ? [] : [Bun.main])];

/** The options that lead another process to the same state. */
function placesOf({ runtimeDir, stateDir, cacheDir, configFile }: Settings): string[] {
  const options = { "runtime-dir": runtimeDir, "state-dir": stateDir, "cache-dir": cacheDir, config: configFile };
  return Object.entries(options).flatMap(([name, path]) => (path === null ? [] : [`--${name}=${path}`]));
}

function startWorker(): Bun.Subprocess<"pipe", "pipe", "inherit"> {
  return Bun.spawn([...itself(), ...WORKER], { argv0: "bpfman", stdio: ["pipe", "pipe", "inherit"] });
}

/** Unlike most commands, a session runs its code often enough for compiling it to pay off (scripts/bundle.ts). */
const compileEagerly = (): void => Bun.unsafe.setJITPolicy(1);

/** Makes the changes of a session, for its server. Returns the exit code. */
async function runWorker(signal: AbortSignal): Promise<number> {
  compileEagerly();
  try {
    const { dieWithParent, setProcessName } = await import("../ffi/safe/signals.ts");
    dieWithParent();
    setProcessName("bpfman");
    const [{ connectSession }, { work }] = await Promise.all([
      import("./runtime.ts"),
      import("../rpc/worker-process.ts"),
    ]);
    await work({
      input: Bun.stdin.stream(),
      write: (text) => writeAll(1, text),
      signal,
      connect: ({ settings, parentPid }) => connectSession(settings, (text) => writeAll(2, text), parentPid),
    });
    return 0;
  } catch (thrown) {
    const { reasonOf } = await import("./errors/sys-failure.ts");
    writeAll(2, `error: work for a session: ${reasonOf(thrown)}\n`);
    return 1;
  }
}

/** A session uses streams, which Bun flushes when it exits. */
let served = false;
const interrupted = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => interrupted.abort());

const args = process.argv.slice(2);
if (args.length === WORKER.length && args[0] === WORKER[0] && args[1] === WORKER[1]) {
  const code = await runWorker(interrupted.signal);
  endAtOnce(code);
  process.exit(code);
}

const code = await runCli({
  args,
  env: process.env,
  get stdoutIsTerminal() {
    return isTerminal(1);
  },
  get stderrIsTerminal() {
    return isTerminal(2);
  },
  get stdoutColumns() {
    return isTerminal(1) ? columnsOf(1) : null;
  },
  get stderrColumns() {
    return isTerminal(2) ? columnsOf(2) : null;
  },
  out: (text) => writeAll(1, text),
  err: (text) => writeAll(2, text),
  save: (path, text) => {
    saveFile(path, text);
    return path;
  },
  input: async (bytesMax) => {
    const parts: Uint8Array[] = [];
    let size = 0;
    for await (const part of Bun.stdin.stream()) {
      size += part.length;
      if (size > bytesMax) {
        throw new BpfmanError("IO_FAILED", `read stdin: there is more than ${bytesMax} bytes`, {
          hint: "pipe a document into it, or name a file",
        });
      }
      parts.push(part);
    }
    return Buffer.concat(parts);
  },
  followInterfaces: async (what) => {
    const { followInterfaces } = await import("./runtime.ts");
    return followInterfaces(what);
  },
  signal: interrupted.signal,
  openScreen: (events) => {
    const { openScreen } = require("./cli/stats/screen.ts") as typeof import("./cli/stats/screen.ts");
    return openScreen((text) => writeAll(1, text), events);
  },
  connect: async (settings) => {
    const { connect } = await import("./runtime.ts");
    return connect(settings, (text) => writeAll(2, text));
  },
  settleIn: () => {
    isEndless = true;
    compileEagerly();
    const { openOwnEnd } = require("../ffi/safe/ready.ts") as typeof import("../ffi/safe/ready.ts");
    ownEnd = openOwnEnd(1);
  },
  isAbandoned: () => {
    const { isAbandoned } = require("../ffi/safe/ready.ts") as typeof import("../ffi/safe/ready.ts");
    return isAbandoned(1);
  },
  watch: async (settings, since, changed) => {
    isEndless = true;
    const { connectSession } = await import("./runtime.ts");
    const service = await connectSession(settings, (text) => writeAll(2, text), process.ppid);
    const followed = await service.follow(since, {
      change: ({ kind, change }) => changed({ kind, ...change } as WatchedChange),
      missed: (count, sequence) => changed({ kind: "events/didDrop", count, sequence }),
    });
    if (!followed.complete)
      service.log.warn(
        `not all changes after number ${since} are known any more, and the newest one is ${followed.sequence}: ` +
          'see "bpfman list programs" and "bpfman list links" for what there is now',
      );
    followed.look();
    return followed;
  },
  serve: async (settings, { clientProcessId }) => {
    served = true;
    compileEagerly();
    const [{ blockingAgain }, { connectSession }, { serve }, { withWorker }] = await Promise.all([
      import("../ffi/safe/ready.ts"),
      import("./runtime.ts"),
      import("../rpc/server.ts"),
      import("../rpc/worker.ts"),
    ]);
    const beginning = { settings, parentPid: process.ppid };
    const service = await connectSession(settings, (text) => writeAll(2, text), beginning.parentPid);
    explainWaiting();
    // Unless something is still to be written: Bun would wait as it exits, although the client does not read.
    let isWritten = true;
    const leaveBlocking = blockingAgain(1);
    process.on("exit", () => {
      if (isWritten) leaveBlocking();
    });
    const sink = Bun.stdout.writer();
    return serve({
      input: Bun.stdin.stream(),
      async output(bytes) {
        isWritten = false;
        sink.write(bytes);
        await sink.flush();
        isWritten = true;
      },
      service: withWorker(service, { beginning, start: startWorker }),
      signal: interrupted.signal,
      clientProcessId,
    });
  },
  serveLanguage: async (settings, { helper, clientProcessId }) => {
    served = true;
    compileEagerly();
    const [{ connectSession, openSourceCompiler }, { serveLanguage }] = await Promise.all([
      import("./runtime.ts"),
      import("../lsp/server.ts"),
    ]);
    const { invoke, log, processes } = await connectSession(settings, (text) => writeAll(2, text), process.ppid);
    explainWaiting();
    return serveLanguage({
      ...{ input: process.stdin, output: process.stdout, signal: interrupted.signal, version: buildInfo.version },
      ...{ invoke, log, processes, compiler: await openSourceCompiler(), clientProcessId, helper },
      own: [...itself(), ...placesOf(settings), "rpc"],
    });
  },
  serveDaemon: async (given, options) => {
    served = true;
    const [{ connectSession, inKubernetes }, { serveDaemon }, { withWorker }] = await Promise.all([
      import("./runtime.ts"),
      import("./grpc/serve.ts"),
      import("../rpc/worker.ts"),
    ]);
    const settings = options.csiSocket === null ? given : inKubernetes(given);
    const beginning = { settings, parentPid: process.ppid };
    const service = await connectSession(settings, (text) => writeAll(2, text), beginning.parentPid);
    // The agent asks at once for everything that it knows, and loads again what is not there.
    if (options.csiSocket !== null) await service.release(null, null);
    return serveDaemon({
      ...options,
      service: withWorker(service, { beginning, start: startWorker }),
      signal: interrupted.signal,
      env: process.env,
      say: (line) => writeAll(2, `${line}\n`),
    });
  },
  describeRpc: async () => {
    const { openRpcDocument } = await import("../rpc/openrpc.ts");
    return openRpcDocument(buildInfo.version);
  },
});
// A command exits without closing its database: what it committed is on disk, and checkpointing the WAL is left to a
// later command, when there is more of it (store/connection.ts). Bun would checkpoint at each exit.
if (!served) endAtOnce(code);
process.exit(code);
