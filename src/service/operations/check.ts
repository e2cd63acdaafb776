import type {
  CheckAnswer,
  CheckedFileAnswer,
  CheckedProgramAnswer,
  CostAnswer,
  DiagnosticAnswer,
  RefusalAnswer,
  SavedCosts,
} from "../../domain/check-answer.ts";
import { capabilitiesOf, factsOf, KINDS, sectionParts } from "../../domain/kinds.ts";
import { programTypeText } from "../../domain/kernel-words.ts";
import { CHECK_LOGS_BYTES_MAX, OBJECT_BYTES_MAX } from "../../domain/limits.ts";
import type { ObjectFile, ObjectProgram } from "../../domain/object-file.ts";
import { EVERY_PROGRAM, isEveryProgram } from "../../domain/program.ts";
import { BpfmanError } from "../../errors/error.ts";
import { whatThereIs } from "../../errors/suggest.ts";
import { readStatistics } from "../../errors/verifier-log.ts";
import { objectForVerifier } from "../../object/object-file.ts";
import type { Host } from "../../platform/host.ts";
import type { ObjectToVerify, ProgramToVerify, Verification } from "../../platform/kernel.ts";
import type { LogRoom } from "../check/refusal-answer.ts";
import { decodeGlobals, namedGlobals, onlyGlobals, placeGlobals, variableNamed } from "../load/globals.ts";
import { settlePart } from "../load/select.ts";
import { type Context, operation } from "../operation.ts";
import { readNamedObject } from "../read-object.ts";
import { type CheckRequest, checkRequest } from "../requests/object-requests.ts";

/** For programs that are refused, and for who compares costs. */
const refused = () => require("../check/refusal-answer.ts") as typeof import("../check/refusal-answer.ts");
const saved = () => require("../check/costs.ts") as typeof import("../check/costs.ts");

interface OpenedFile {
  /** As it was given. */
  readonly path: string;
  readonly kind: "object" | "source";
  readonly diagnostics: readonly DiagnosticAnswer[];
  /** Null if it does not compile. */
  readonly contents: { readonly bytes: Uint8Array; readonly object: ObjectFile } | null;
  readonly refusal: RefusalAnswer | null;
}

const isSource = (path: string): boolean => path.endsWith(".c");

/** Throws what is wrong with the file itself; a source that does not compile is an answer. */
async function open(host: Host, file: CheckRequest["files"][number], { signal }: Context): Promise<OpenedFile> {
  if (typeof file !== "string") {
    const { name: path, base64 } = file;
    const contents = contentsOf(Uint8Array.fromBase64(base64), path);
    return { path, kind: "object", diagnostics: [], refusal: null, contents };
  }
  const path = file;
  const absolute = host.files.absolute(path);
  const bytes = host.files.readObject(absolute, OBJECT_BYTES_MAX);
  if (!isSource(path)) {
    return { path, kind: "object", diagnostics: [], refusal: null, contents: contentsOf(bytes, path) };
  }
  const compiled = await host.compiler.compile(absolute, signal);
  const { diagnostics } = compiled;
  if (compiled.bytes !== null) {
    const contents = contentsOf(compiled.bytes, path);
    return { path, kind: "source", diagnostics, refusal: null, contents };
  }
  const first = diagnostics.find(({ severity }) => severity === "error");
  const reason = first?.message ?? "clang says why";
  const { message, hint } = new BpfmanError("COMPILE_FAILED", `compile "${path}": ${reason}`);
  const refusal = {
    code: "COMPILE_FAILED",
    message,
    reason,
    hint,
    source: null,
    path: [],
    acquired: null,
    verifier_log: null,
  };
  return { path, kind: "source", diagnostics, refusal, contents: null };
}

function contentsOf(bytes: Uint8Array, path: string): NonNullable<OpenedFile["contents"]> {
  const object = asObject(bytes, path);
  if (object.programs.length > 0) return { bytes, object };
  throw new BpfmanError("FUNCTION_NOT_FOUND", `check "${path}": it has no programs`, {
    details: { path, programs: [] },
    hint: 'programs are functions in sections of their own, as in SEC("xdp"); functions in .text are called by them',
  });
}

function asObject(bytes: Uint8Array, path: string): ObjectFile {
  try {
    return readNamedObject({ bytes, path }, { nativeByteOrderOnly: true });
  } catch (cause) {
    const isElf = bytes[0] === 0x7f && bytes[1] === 0x45;
    if (!(cause instanceof BpfmanError) || isElf) throw cause;
    throw cause.with({ hint: "give an object file, or C source in a file whose name ends in .c" });
  }
}

/** Throws FUNCTION_NOT_FOUND unless each named program is in one of the files. */
function requireNamed(files: readonly OpenedFile[], { programs }: CheckRequest): void {
  const known = files.flatMap(({ contents }) => contents?.object.programs.map(({ name }) => name) ?? []);
  // What does not compile may have it.
  if (files.some(({ contents }) => contents === null)) return;
  const missing = programs.find((asked) => !known.includes(asked.name) && !isEveryProgram(asked));
  if (missing === undefined) return;
  const [where, there] = files.length === 1 ? ["the object", "the object has"] : ["any of the files", "they have"];
  throw new BpfmanError("FUNCTION_NOT_FOUND", `no program "${missing.name}" in ${where}`, {
    details: { program: missing.name, programs: known },
    hint: whatThereIs(missing.name, known, { there, none: "there are no programs" }),
  });
}

/** Each file gets those of the variables that it has; each variable must be in one of them. */
function globalsOf(files: readonly OpenedFile[], request: CheckRequest) {
  const all = files.flatMap(({ contents }) => contents?.object.globals ?? []);
  // What does not compile may have it.
  if (files.every(({ contents }) => contents !== null))
    for (const name of namedGlobals(request)) variableNamed(name, all);
  return (contents: NonNullable<OpenedFile["contents"]>) => {
    const own = onlyGlobals(request, new Set(contents.object.globals.map(({ name }) => name)));
    return placeGlobals(contents.object, decodeGlobals(own, contents));
  };
}

/** Maps that leave their size to the loader: what the size is makes no difference to the verifier. */
function sizesOf({ maps }: ObjectFile): ReadonlyMap<string, number> {
  const unsized = maps.filter(({ maxEntries, type }) => (maxEntries ?? 0) === 0 && !SIZED_OTHERWISE.has(type));
  return new Map(unsized.map(({ name, type }) => [name, RINGS.has(type) ? RING_BYTES : 1]));
}

/** BPF_MAP_TYPE_*: PERF_EVENT_ARRAY, which libbpf gives as many entries as there are processors, and those that have none. */
const SIZED_OTHERWISE: ReadonlySet<number> = new Set([4, 19, 21, 24, 26, 28, 29, 32]);
/** RINGBUF, USER_RINGBUF: a power of two, and whole pages of any machine. */
const RINGS: ReadonlySet<number> = new Set([27, 31]);
const RING_BYTES = 65_536;

type Selector = CheckRequest["programs"][number];

/**
 * What is given to the verifier, or why that cannot be done. Throws what is wrong with the target of an freplace program, and
 * PERMISSION_DENIED: without the capabilities, the kernel refuses every program of the kind, which says nothing about this one.
 */
async function toVerify(
  program: ObjectProgram,
  asked: Selector | undefined,
  { host, context }: Checking,
): Promise<ProgramToVerify | { readonly skipped: string }> {
  const { name, kind, section, target } = program;
  const type = asked?.type ?? kind;
  if (type !== null) context.requireCapabilities(capabilitiesOf(type), `checking ${factsOf(type).display} program`);
  if (type === "freplace") {
    if (!asked?.attachFunction) {
      const part = `PROGRAM/${target ?? "FUNCTION"}`;
      return {
        skipped: `it is checked against the loaded program of which it replaces a function: name it freplace:${name}:${part}`,
      };
    }
    const { toReplace, withTargetId } = await import("../load/replaced.ts");
    const spec = { name, type, section, attachFunction: settlePart(asked, program, false) };
    return toReplace(host, withTargetId(host, spec, context));
  }
  if (type === null || !KINDS[type].needsFunction) return { name, type, attachFunction: null };
  const attachFunction = asked?.attachFunction ?? target;
  if (attachFunction !== null) return { name, type, attachFunction };
  return { skipped: `its section names no function to check it against: name it ${type}:${name}:FUNCTION` };
}

function costOf({ statistics, jitedSize }: Verification): CostAnswer {
  const found = readStatistics(statistics);
  return {
    verified_instructions: found?.instructions ?? 0,
    total_states: found?.totalStates ?? 0,
    peak_states: found?.peakStates ?? 0,
    max_states_per_instruction: found?.maxStatesPerInstruction ?? 0,
    stack_bytes: found?.stackBytes ?? null,
    verification_time_us: found?.microseconds ?? null,
    jited_bytes: jitedSize ?? 0,
  };
}

/** Throws CANCELLED. */
async function pause({ signal }: Context): Promise<void> {
  // A signal is only noticed when the event loop runs.
  await new Promise(setImmediate);
  if (signal.aborted) throw new BpfmanError("CANCELLED", "interrupted between two programs");
}

interface Checking {
  readonly host: Host;
  readonly request: CheckRequest;
  readonly context: Context;
  readonly room: LogRoom;
  readonly globals: (contents: NonNullable<OpenedFile["contents"]>) => ObjectToVerify["globals"];
  readonly baseline: ReturnType<ReturnType<typeof saved>["openBaseline"]> | null;
}

async function checkFile(file: OpenedFile, checking: Checking): Promise<CheckedFileAnswer> {
  const { path, kind, diagnostics, refusal, contents } = file;
  const programs: CheckedProgramAnswer[] = [];
  if (contents !== null) {
    const { bytes, object } = contents;
    const reduced = objectForVerifier(bytes, object);
    const given = { name: objectName(path), globals: checking.globals(contents), maxEntries: sizesOf(object) };
    const { request, context } = checking;
    const wanted = new Map(request.programs.map((program) => [program.name, program]));
    const isEvery = wanted.size === 0 || (request.programs.some(isEveryProgram) && !isNamed(object, EVERY_PROGRAM));
    const chosen = object.programs.filter(({ name }) => isEvery || wanted.has(name));
    const prepare = async (index: number): Promise<Prepared> => {
      const program = chosen[index] as ObjectProgram;
      context.progress(`check ${path}: ${program.name} (${index + 1} of ${chosen.length})`);
      const settled = await toVerify(program, wanted.get(program.name), checking);
      const subject = { path, bytes, program };
      return {
        subject,
        toLoad: "skipped" in settled ? settled : { ...given, ...reduced(program.name), programs: [settled] },
      };
    };
    let most = 1;
    let next: Prepared | null = null;
    while (programs.length < chosen.length) {
      await pause(context);
      const batch: Prepared[] = [next ?? (await prepare(programs.length))];
      next = null;
      while (batch.length < most && next === null && programs.length + batch.length < chosen.length) {
        const another = await prepare(programs.length + batch.length);
        if (isLike(batch[0] as Prepared, another)) batch.push(another);
        else next = another;
      }
      const began = performance.now();
      const found = batch.length === 1 ? null : await verifyTogether(batch, checking);
      for (const [index, { subject, toLoad }] of batch.entries())
        programs.push(await checkProgram(subject, toLoad, found?.[index] ?? null, checking));
      const isRefusing = batch.length > 1 && found === null;
      most = isRefusing ? 0 : sizeAfter(most, performance.now() - began);
    }
  }
  return { path, kind, diagnostics, refusal, programs };
}

const isNamed = ({ programs }: ObjectFile, name: string) => programs.some((program) => program.name === name);

function skippedProgram({ name, section, kind }: ObjectProgram, reason: string): CheckedProgramAnswer {
  const type = kind ?? sectionParts(section).head;
  return { name, section, type, verdict: "skipped", reason, cost: null, refusal: null, baseline: null };
}

/** Programs are verified together, so that libbpf reads their object once, but no more of them than take about this long. */
const TOGETHER_MS = 100;
const TOGETHER_MAX = 16;

/** How many programs to verify together next, after so many took that long. 0 stays 0: each program by itself. */
const sizeAfter = (most: number, ms: number): number =>
  ms < TOGETHER_MS / 2 ? Math.min(most * 2, TOGETHER_MAX) : ms > TOGETHER_MS ? Math.ceil(most / 2) : most;

interface Prepared {
  readonly subject: Subject;
  readonly toLoad: ObjectToVerify | { readonly skipped: string };
}

/** Whether libbpf is given the same bytes, and makes the same maps, for both programs. */
function isLike({ toLoad: one }: Prepared, { toLoad: other }: Prepared): boolean {
  if ("skipped" in one || "skipped" in other || one.bytes !== other.bytes) return false;
  const [unused, others] = [one.unusedMaps ?? new Set(), other.unusedMaps ?? new Set()];
  const isPlain = ({ structs, programs }: ObjectToVerify) =>
    (structs?.size ?? 0) === 0 && programs.every(({ type }) => type !== null && type !== "freplace");
  return isPlain(one) && isPlain(other) && unused.symmetricDifference(others).size === 0;
}

/** What the verifier says to each program; null if it refuses one of them. */
async function verifyTogether(batch: readonly Prepared[], { host }: Checking): Promise<readonly Verification[] | null> {
  const objects = batch.flatMap(({ toLoad }) => ("skipped" in toLoad ? [] : [toLoad]));
  const [first] = objects;
  return first === undefined
    ? null
    : host.kernel.verify({ ...first, programs: objects.flatMap(({ programs }) => programs) });
}

interface Subject {
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly program: ObjectProgram;
}

async function checkProgram(
  { path, bytes, program }: Subject,
  toLoad: Prepared["toLoad"],
  found: Verification | null,
  { host, request, room, baseline }: Checking,
): Promise<CheckedProgramAnswer> {
  const { name, section } = program;
  if ("skipped" in toLoad) return skippedProgram(program, toLoad.skipped);
  const [settled] = toLoad.programs as readonly [ProgramToVerify];
  const verification = found ?? ((await host.kernel.verify(toLoad)) as readonly [Verification])[0];
  // A program whose type was set may not have got as far as being declared.
  if (verification.type === 0 && settled.type === null) {
    return skippedProgram(program, `its section names no type: name it TYPE:${name}`);
  }
  const { refusal } = await withReason(host, verification, settled);
  const cost = refusal === null ? costOf(verification) : null;
  const then = baseline?.(path, name) ?? null;
  return {
    name,
    section,
    type: settled.type ?? programTypeText(verification.type),
    verdict: refusal === null ? "accepted" : "refused",
    reason: null,
    cost,
    refusal: refusal === null ? null : refused().refusalAnswer(refusal, { bytes, program: name, room }),
    baseline: then === null ? null : saved().compared(then.cost, cost, request.tolerancePercent),
  };
}

/** Names what the kernel is missing, if it refused a program for that. */
async function withReason(host: Host, found: Verification, { type }: ProgramToVerify): Promise<Verification> {
  if (found.refusal === null || type !== "freplace") return found;
  const { explained } = await import("../load/replaced.ts");
  return { ...found, refusal: await explained(host, found.refusal) };
}

/** The name of the file up to its first dot: libbpf derives names of maps from it. */
const objectName = (path: string): string => path.slice(path.lastIndexOf("/") + 1).replace(/\..*$/, "") || "object";

const isPassed = ({ refusal, programs }: CheckedFileAnswer): boolean =>
  refusal === null && programs.every(({ verdict, baseline }) => verdict !== "refused" && baseline?.worse !== true);

async function check(host: Host, request: CheckRequest, context: Context): Promise<CheckAnswer> {
  const { baseline: path, save, tolerancePercent } = request;
  // What can be wrong with the request is found before anything is loaded.
  const costs: SavedCosts | null = path === null ? null : saved().readCosts(host.files, path);
  const opened: OpenedFile[] = [];
  for (const file of request.files) {
    await pause(context);
    opened.push(await open(host, file, context));
  }
  requireNamed(opened, request);
  const checking: Checking = {
    host,
    request,
    context,
    room: { left: CHECK_LOGS_BYTES_MAX },
    globals: globalsOf(opened, request),
    baseline: costs && saved().openBaseline(costs),
  };
  const files: CheckedFileAnswer[] = [];
  for (const file of opened) files.push(await checkFile(file, checking));
  const kernel = host.kernel.release();
  const answer: CheckAnswer = {
    kernel,
    passed: files.every(isPassed),
    baseline: costs && path !== null ? { path, kernel: costs.kernel, tolerance_percent: tolerancePercent } : null,
    files,
  };
  if (save !== null)
    host.files.saveText(host.files.absolute(save), `${JSON.stringify(saved().savedOf(kernel, files), null, 2)}\n`);
  return answer;
}

export const implementation = operation({ request: checkRequest, run: check });
