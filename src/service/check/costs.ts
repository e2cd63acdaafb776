/** Costs of programs as `check` saves them, and their comparison. */
import * as v from "valibot";
import type { CheckedFileAnswer, ComparisonAnswer, CostAnswer, SavedCosts } from "../../domain/check-answer.ts";
import { COSTS_VERSION } from "../../domain/check-answer.ts";
import { COSTS_BYTES_MAX } from "../../domain/limits.ts";
import { BpfmanError } from "../../errors/error.ts";
import type { FilesPort } from "../../platform/files.ts";

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const cost = v.object({
  verified_instructions: v.pipe(count, v.minValue(1)),
  total_states: count,
  peak_states: count,
  max_states_per_instruction: count,
  stack_bytes: v.nullable(count),
  verification_time_us: v.nullable(count),
  jited_bytes: count,
});
const savedCosts = v.object({
  version: v.literal(COSTS_VERSION),
  kernel: v.string(),
  programs: v.array(v.object({ file: v.string(), program: v.string(), cost: v.nullable(cost) })),
});

/** Throws FILE_NOT_FOUND, FILE_UNREADABLE, INVALID_BASELINE. */
export function readCosts(files: FilesPort, path: string): SavedCosts {
  const bytes = files.readObject(files.absolute(path), COSTS_BYTES_MAX);
  const wrong = (reason: string, cause?: unknown) =>
    new BpfmanError("INVALID_BASELINE", `read baseline "${path}": ${reason}`, { details: { path }, cause });
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw wrong("it is not JSON", cause);
  }
  const parsed = v.safeParse(savedCosts, json);
  if (parsed.success) return parsed.output;
  const { version } = (typeof json === "object" && json !== null ? json : {}) as { readonly version?: unknown };
  if (typeof version === "number" && version !== COSTS_VERSION)
    throw wrong(`it has version ${version}, and this bpfman reads version ${COSTS_VERSION}`);
  const { requestProblem } = require("../request-problem.ts") as typeof import("../request-problem.ts");
  const { message } = requestProblem(savedCosts, parsed.issues[0]);
  throw wrong(`it has no costs of bpfman check: ${message.replace('"(request)"', "the whole")}`);
}

export const savedOf = (kernel: string, files: readonly CheckedFileAnswer[]): SavedCosts => ({
  version: COSTS_VERSION,
  kernel,
  programs: files.flatMap(({ path: file, programs }) =>
    programs.flatMap(({ name: program, verdict, cost }) => (verdict === "skipped" ? [] : { file, program, cost })),
  ),
});

const baseName = (path: string): string => path.slice(path.lastIndexOf("/") + 1);

/**
 * Returns what finds a program in a baseline: by the file as it was given, or else by its name alone, since the directory may
 * be another one, if only one file has that.
 */
export function openBaseline({
  programs,
}: SavedCosts): (file: string, program: string) => SavedCosts["programs"][number] | null {
  const byPath = new Map(programs.map((each) => [`${each.file}\0${each.program}`, each]));
  const byName = Map.groupBy(programs, ({ file, program }) => `${baseName(file)}\0${program}`);
  return (file, program) => {
    const exact = byPath.get(`${file}\0${program}`);
    if (exact !== undefined) return exact;
    const [found, ...others] = byName.get(`${baseName(file)}\0${program}`) ?? [];
    return found === undefined || others.length > 0 ? null : found;
  };
}

/** Either cost is null for a program that was refused. */
export function compared(then: CostAnswer | null, now: CostAnswer | null, tolerancePercent: number): ComparisonAnswer {
  const before = then?.verified_instructions ?? null;
  if (before === null || now === null)
    return { verified_instructions: before, change_percent: null, worse: before !== null && now === null };
  const change = (now.verified_instructions * 100) / before - 100;
  return {
    verified_instructions: before,
    change_percent: Number(change.toFixed(2)),
    // In whole numbers, since 10 % of 110 must be 10 %.
    worse: (now.verified_instructions - before) * 100 > before * tolerancePercent,
  };
}
