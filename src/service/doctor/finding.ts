import type { FindingAnswer } from "../../domain/answer.ts";
import { type FindingCode, findingRow } from "../../domain/finding.ts";
import { BpfmanError } from "../../errors/error.ts";
import { reasonOf } from "../../errors/sys-failure.ts";
import type { Plan } from "../plan.ts";

/** When a repair is made: each of these may change what the later ones find. */
export const STAGES = [
  "mounts",
  "database",
  "unfinished",
  "records",
  "pins",
  "hooks",
  "links",
  "programs",
  "rest",
] as const;

/** What `repair` does about a finding. */
export interface Mend {
  readonly stage: (typeof STAGES)[number];
  /** As in `pin program 5 again`. */
  readonly action: string;
  /** Does it, in steps that are undone if a later one fails. */
  run(steps: Plan): unknown;
  /** Filled by `run` with what it did besides, in the form of `action`. */
  readonly besides?: readonly string[];
}

export interface Found extends FindingAnswer {
  readonly mend: Mend | null;
}

interface More {
  /** What to do, if it is not what the table says. */
  readonly remedy?: string | null;
  readonly mend?: Mend | null;
}

export function finding(
  code: FindingCode,
  what: string,
  evidence: FindingAnswer["evidence"],
  { remedy = null, mend = null }: More = {},
): Found {
  const { severity, consequence, advice } = findingRow(code);
  return { code, severity, what, evidence, consequence, remedy: remedy ?? advice, repair: mend?.action ?? null, mend };
}

/** A check that fails is a finding as well, and does not prevent the others. */
export function checking(what: string, check: () => Found[]): Found[] {
  try {
    return check();
  } catch (thrown) {
    const hint = thrown instanceof BpfmanError ? thrown.hint : null;
    return [finding("check-failed", `could not check ${what}: ${reasonOf(thrown)}`, {}, { remedy: hint })];
  }
}

/** Identifies a finding that is made again. */
export const sameFinding = ({ code, what }: FindingAnswer): string => `${code} ${what}`;
