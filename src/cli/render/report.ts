/** Renders failures for stderr and determines the exit code. */
import type { ErrorKind } from "../../errors/codes.ts";
import type { BpfmanError } from "../../errors/error.ts";
import type { SourceLine } from "../../domain/object-file.ts";
import { printableBlock } from "../../domain/printable.ts";
import { renderJson } from "./json.ts";
import { renderLine } from "./source.ts";

/** `usage`: while parsing the command line. `run`: afterwards. */
export type Phase = "usage" | "run";

/** Reports whether the command line caused the error, by its own values or by a request that fails validation. */
export const isUsage = (error: BpfmanError, phase: Phase): boolean =>
  error.code === "USAGE" || error.code === "INVALID_REQUEST" || (phase === "usage" && error.kind === "invalid");

const EXIT_CODES: Readonly<Record<ErrorKind, number>> = {
  invalid: 1,
  "not-found": 3,
  permission: 4,
  conflict: 5,
  precondition: 5,
  unsupported: 1,
  unavailable: 1,
  internal: 1,
  cancelled: 130,
};

export const exitCodeOf = (error: BpfmanError, phase: Phase): number =>
  isUsage(error, phase) ? 2 : EXIT_CODES[error.kind];

/** The noun-verb grammar distinguishes only success and failure. */
export const nounExitCodeOf = (error: BpfmanError): number => (error.kind === "cancelled" ? EXIT_CODES.cancelled : 1);

interface ErrorStyle {
  /** For the noun-verb grammar. */
  readonly noun: boolean;
  /** Colours, for a terminal. */
  readonly styled: boolean;
  /** Wraps a text for the terminal. */
  wrap(text: string): string;
}

const RED = "\x1b[1;31m";
const CYAN = "\x1b[36m";
const RESET = "\x1b[0m";

/**
 * Renders `error: …` (`bpfman: error: …` in the noun-verb grammar), the source of a rejected program, `hint: …`, then
 * the complete verifier log.
 */
export function renderError(error: BpfmanError, { noun, styled, wrap }: ErrorStyle): string {
  const label = (text: string, colour: string): string => (styled ? `${colour}${text}:${RESET}` : `${text}:`);
  const lines = [wrap(`${label(noun ? "bpfman: error" : "error", RED)} ${error.message}`), ...renderSource(error)];
  if (error.hint !== null) lines.push(wrap(`${label("hint", CYAN)} ${error.hint}`));
  if (error.verifierLog !== null) lines.push("", error.verifierLog.trimEnd());
  return `${lines.join("\n")}\n`;
}

/** Renders the source lines where a program was rejected; empty if the error has no source location. */
function renderSource({ details }: BpfmanError): string[] {
  const { source, acquired } = details as { readonly source?: SourceLine | null; readonly acquired?: SourceLine };
  if (!source) return [];
  return [...renderLine("at", source), ...(acquired === undefined ? [] : renderLine("reference taken at", acquired))];
}

export const renderErrorJson = (error: BpfmanError): string =>
  renderJson({
    error: {
      code: error.code,
      kind: error.kind,
      message: error.message,
      hint: error.hint,
      details: error.details,
      verifier_log: error.verifierLog,
    },
  });

/** Renders a bug in bpfman in one line. The message identifies the run, for the bug report. */
export const renderCrash = (error: BpfmanError): string =>
  `bpfman: internal error: ${error.message}; please report it, with the command and --log-level debug\n`;

/** Returns the stack of an error and its causes. */
export function renderStack(error: unknown): string {
  const stacks: string[] = [];
  for (let each = error; each instanceof Error; each = each.cause) stacks.push(each.stack ?? String(each));
  return stacks.length === 0 ? "" : `${printableBlock(stacks.join("\ncaused by: "))}\n`;
}
