import { BpfmanError } from "../../errors/error.ts";
import { readVerifierLog } from "../../errors/verifier-log.ts";
import { sourceLines } from "../../object/source-line.ts";

/**
 * Adds the source location to a verifier rejection: `details.source`, a SourceLine, null if the whole program is
 * rejected or the log names no instruction; and for an unreleased reference `details.acquired`, where it was acquired.
 * Other errors are returned unchanged.
 */
export function withSource(thrown: unknown, bytes: Uint8Array): unknown {
  if (!(thrown instanceof BpfmanError) || thrown.code !== "VERIFIER_REJECTED") return thrown;
  return thrown.with({ details: placesOf(thrown, bytes) });
}

/**
 * Returns the field of a type or enumeration that this kernel lacks: `CO-RE relocation <byte_off> [34] struct a.field
 * (0:1 …`.
 */
const fieldIn = (reason: string): string | null => /CO-RE relocation .*[.:](\w+) [(=]/.exec(reason)?.[1] ?? null;

function placesOf({ details, verifierLog }: BpfmanError, bytes: Uint8Array): Readonly<Record<string, unknown>> {
  const { reason, instruction, acquiredAt } = readVerifierLog(verifierLog ?? "");
  if (typeof details.program !== "string" || instruction === null) return { source: null };
  try {
    const lineOf = sourceLines(bytes, details.program, (reason) => new BpfmanError("INVALID_OBJECT", reason));
    const acquired = acquiredAt === null ? null : lineOf(acquiredAt);
    return { source: lineOf(instruction, fieldIn(reason ?? "")), ...(acquired === null ? {} : { acquired }) };
  } catch (unsound) {
    // libbpf accepts some objects this reader does not; the rejection matters more than its source line.
    if (unsound instanceof BpfmanError) return { source: null };
    throw unsound;
  }
}
