/** Compiles and checks the sources that are open: each at most once at a time, and again after it was saved meanwhile. */
import { closeSync, constants, fstatSync, openSync, readFileSync } from "node:fs";
import { FRAME_BYTES_MAX, OBJECT_BYTES_MAX } from "../src/domain/limits.ts";
import type { CheckAnswer, CheckedProgramAnswer } from "../src/domain/check-answer.ts";
import type { ObjectInspectAnswer } from "../src/domain/inspect-answer.ts";
import { BpfmanError } from "../src/errors/error.ts";
import { reasonOf } from "../src/errors/sys-failure.ts";
import { RpcError } from "../rpc/client/client.ts";
import type { LspHost } from "./server.ts";
import { type Diagnostics, DiagnosticsOf, type Sources } from "./diagnostics.ts";
import { type Helper, NoHelper } from "./privileged.ts";
import type { Settings } from "./settings.ts";

/** An object, as requests take it. */
export interface CompiledObject {
  readonly name: string;
  readonly base64: string;
}

/** What is known of a source, as it was saved last. */
export interface Checked {
  readonly inspected: ObjectInspectAnswer;
  /** Null if the kernel was not asked. */
  readonly answer: CheckAnswer | null;
  /** Instructions by program, as they were in the check before. */
  readonly before: ReadonlyMap<string, number>;
}

export interface CheckerOptions {
  readonly host: LspHost;
  readonly helper: Helper;
  settingsOf(uri: string): Promise<Settings>;
  /** Null if nothing of it may be compiled now. */
  sourceOf(uri: string): Omit<Sources, "read"> | null;
  /** Called with all of a source's diagnostics, after each check. */
  publish(uri: string, diagnostics: Diagnostics): void;
}

interface Running {
  readonly cancel: AbortController;
  readonly done: Promise<void>;
}

const instructionsOf = (answer: CheckAnswer | null): [string, number][] =>
  (answer?.files[0]?.programs ?? []).flatMap(({ name, cost }) =>
    cost === null ? [] : [[name, cost.verified_instructions] as [string, number]],
  );

/** What is beside the object in a request. */
const REQUEST_BYTES = 16 * 1024;

export class Checker {
  readonly #options: CheckerOptions;
  readonly #running = new Map<string, Running>();
  readonly #checked = new Map<string, Checked>();
  /** What programs of sources cost when they were last accepted. */
  readonly #instructions = new Map<string, ReadonlyMap<string, number>>();

  constructor(options: CheckerOptions) {
    this.#options = options;
  }

  /** Null if the source does not compile, or was not compiled yet. */
  checkedOf(uri: string): Checked | null {
    return this.#checked.get(uri) ?? null;
  }

  programOf(uri: string, name: string): CheckedProgramAnswer | null {
    return this.checkedOf(uri)?.answer?.files[0]?.programs.find((program) => program.name === name) ?? null;
  }

  /** Checks a source, instead of any check of it that is still running. Resolves when that is done or was replaced. */
  check(uri: string): Promise<void> {
    const before = this.#running.get(uri);
    before?.cancel.abort();
    const cancel = new AbortController();
    const done = (async () => {
      await before?.done;
      if (!cancel.signal.aborted) await this.#run(uri, cancel.signal);
    })().finally(() => {
      if (this.#running.get(uri)?.cancel === cancel) this.#running.delete(uri);
    });
    this.#running.set(uri, { cancel, done });
    return done;
  }

  /** Forgets a source. */
  async close(uri: string): Promise<void> {
    const running = this.#running.get(uri);
    running?.cancel.abort();
    await running?.done;
    this.#checked.delete(uri);
    this.#instructions.delete(uri);
  }

  async end(): Promise<void> {
    await Promise.all([...this.#running.keys()].map((uri) => this.close(uri)));
  }

  /** Compiles a source as it is saved. Throws BpfmanError; COMPILE_FAILED also if there is an error in it. */
  async compile(uri: string, signal: AbortSignal): Promise<CompiledObject> {
    const source = this.#options.sourceOf(uri);
    if (source === null)
      throw new BpfmanError("COMPILE_FAILED", "nothing is compiled: it is not trusted, or no source");
    const { bytes, diagnostics } = await this.#compile(source.main, signal);
    if (bytes !== null) return objectOf(source.main, bytes);
    const error = diagnostics.find(({ severity }) => severity === "error");
    throw new BpfmanError("COMPILE_FAILED", `compile "${source.main}": ${error?.message ?? "the compiler says why"}`);
  }

  async #compile(path: string, signal: AbortSignal) {
    readRegular(path);
    return this.#options.host.compiler.compile(path, signal);
  }

  async #run(uri: string, signal: AbortSignal): Promise<void> {
    const settings = await this.#options.settingsOf(uri);
    const source = this.#options.sourceOf(uri);
    if (source === null || signal.aborted) return;
    const diagnostics = new DiagnosticsOf({ ...source, read: (path) => readIfThere(path) });
    // It starts while the compiler works.
    if (settings.check) this.#options.helper.prepare();
    try {
      const { bytes, diagnostics: said } = await this.#compile(source.main, signal);
      if (settings.compilerErrors) diagnostics.addCompiler(said);
      if (bytes === null) this.#checked.delete(uri);
      else await this.#examine(uri, objectOf(source.main, bytes), { settings, signal, diagnostics });
    } catch (thrown) {
      if (signal.aborted) return;
      diagnostics.addFailure(...failureOf(thrown));
    }
    if (!signal.aborted) this.#options.publish(uri, diagnostics.found);
  }

  async #examine(uri: string, object: CompiledObject, { settings, signal, diagnostics }: Examination): Promise<void> {
    const { host, helper } = this.#options;
    const inspected = await host.invoke("object/inspect", { object }, { signal });
    let answer: CheckAnswer | null = null;
    if (settings.check && inspected.programs.length > 0) {
      try {
        requireRoom(object);
        answer = await helper.call("object/check", { files: [object] }, { signal });
      } catch (thrown) {
        if (!(thrown instanceof NoHelper)) throw thrown;
      }
    }
    if (signal.aborted) return;
    const before = this.#instructions.get(uri) ?? new Map();
    this.#checked.set(uri, { inspected, answer, before });
    this.#instructions.set(uri, new Map([...before, ...instructionsOf(answer)]));
    for (const program of answer?.files[0]?.programs ?? []) diagnostics.addProgram(program);
  }
}

interface Examination {
  readonly settings: Settings;
  readonly signal: AbortSignal;
  readonly diagnostics: DiagnosticsOf;
}

const objectOf = (name: string, bytes: Uint8Array): CompiledObject => ({ name, base64: bytes.toBase64() });

/** Throws INVALID_OBJECT. */
function requireRoom({ name, base64 }: CompiledObject): void {
  if (base64.length + REQUEST_BYTES <= FRAME_BYTES_MAX) return;
  const bytes = Math.floor((base64.length / 4) * 3);
  throw new BpfmanError("INVALID_OBJECT", `check "${name}": its object has ${bytes} bytes, too many for one request`);
}

function failureOf(thrown: unknown): [message: string, code: string] {
  const hintOf = (hint: string | null | undefined): string => (hint == null ? "" : `\n${hint}`);
  if (thrown instanceof BpfmanError) return [`${thrown.message}${hintOf(thrown.hint)}`, thrown.code];
  if (thrown instanceof RpcError) return [`${thrown.message}${hintOf(thrown.data?.hint)}`, thrown.data?.code ?? "RPC"];
  return [reasonOf(thrown), "INTERNAL"];
}

/** Throws COMPILE_FAILED for what a compiler would wait for, or cannot open. */
function readRegular(path: string): Uint8Array {
  let fd: number | null = null;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    const stat = fstatSync(fd);
    if (!stat.isFile()) throw new Error("it is not a regular file");
    if (stat.size > OBJECT_BYTES_MAX) throw new Error(`it has more than ${OBJECT_BYTES_MAX} bytes`);
    return readFileSync(fd);
  } catch (thrown) {
    throw new BpfmanError("COMPILE_FAILED", `compile "${path}": ${reasonOf(thrown)}`, {
      hint: "save the source as a file that you can read",
      cause: thrown,
    });
  } finally {
    if (fd !== null) closeSync(fd);
  }
}

function readIfThere(path: string): Uint8Array | null {
  try {
    return readRegular(path);
  } catch {
    return null;
  }
}
