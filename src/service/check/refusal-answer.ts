import type { RefusalAnswer } from "../../domain/check-answer.ts";
import { CHECK_LOG_END_BYTES, PATH_LINES_MAX } from "../../domain/limits.ts";
import type { SourceLine } from "../../domain/object-file.ts";
import { BpfmanError } from "../../errors/error.ts";
import { pathIn, readVerifierLog } from "../../errors/verifier-log.ts";
import { sourceLines } from "../../object/source-line.ts";
import { withSource } from "../load/refusal.ts";

/** How much of the verifier's logs may still go into an answer, in characters. */
export interface LogRoom {
  left: number;
}

/** Describes why a program of an object is refused. */
export function refusalAnswer(
  refusal: BpfmanError,
  { bytes, program, room }: { readonly bytes: Uint8Array; readonly program: string; readonly room: LogRoom },
): RefusalAnswer {
  const { code, message, hint, details, verifierLog } = withSource(refusal, bytes) as BpfmanError;
  const { source = null, acquired = null } = details as Partial<Record<"source" | "acquired", SourceLine | null>>;
  const read = verifierLog === null ? null : readVerifierLog(verifierLog);
  return {
    code,
    message,
    reason: read?.reason ?? message.replace(/^load (program|object) ".*?": /, ""),
    hint,
    source,
    path: source === null || verifierLog === null ? [] : pathTo(source, { bytes, program, log: verifierLog }),
    acquired,
    verifier_log: verifierLog === null ? null : fitted(verifierLog, room),
  };
}

function fitted(log: string, room: LogRoom): string {
  if (log.length <= room.left) {
    room.left -= log.length;
    return log;
  }
  return `… (its beginning is left out: check this program alone to see it)\n${log.slice(-CHECK_LOG_END_BYTES)}`;
}

interface Place {
  readonly bytes: Uint8Array;
  readonly program: string;
  readonly log: string;
}

const isSameLine = (a: SourceLine | undefined, b: SourceLine): boolean =>
  a !== undefined && a.file === b.file && a.line === b.line && a.function === b.function;

/** The lines before the one that is refused. */
function pathTo(refused: SourceLine, { bytes, program, log }: Place): SourceLine[] {
  const lineOf = sourceLines(bytes, program, (reason) => new BpfmanError("INVALID_OBJECT", reason));
  const lines: SourceLine[] = [];
  for (const instruction of pathIn(log).reverse()) {
    const line = lineOf(instruction);
    if (line === null || line.line === null || isSameLine(lines.at(-1), line)) continue;
    if (lines.length === 0 && isSameLine(refused, line)) continue;
    lines.push(line);
    if (lines.length === PATH_LINES_MAX) break;
  }
  return lines.reverse();
}
