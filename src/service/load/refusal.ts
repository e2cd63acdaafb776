import { BpfmanError } from "../../errors/error.ts";
import { readVerifierLog } from "../../errors/verifier-log.ts";
import { sourceLines } from "../../object/source-line.ts";

/**
 * Adds to a refusal by the verifier where in the source it is: `details.source`, a SourceLine, null when it is the
 * program as a whole or the log does not say; and for a reference that is not given back `details.acquired`, where it
 * was taken. Anything else stays as it is.
 */
export function withSource(thrown: unknown, bytes: Uint8Array): unknown {
  if (!(thrown instanceof BpfmanError) || thrown.code !== "VERIFIER_REJECTED") return thrown;
  return thrown.with({ details: placesOf(thrown, bytes) });
}

/** Of a type or enumeration that this kernel does not have so: `CO-RE relocation <byte_off> [34] struct a.field (0:1 …`. */
const fieldIn = (reason: string): string | null => /CO-RE relocation .*[.:](\w+) [(=]/.exec(reason)?.[1] ?? null;

function placesOf({ details, verifierLog }: BpfmanError, bytes: Uint8Array): Readonly<Record<string, unknown>> {
  const { reason, instruction, acquiredAt } = readVerifierLog(verifierLog ?? "");
  if (typeof details.program !== "string" || instruction === null) return { source: null };
  try {
    const lineOf = sourceLines(bytes, details.program, (reason) => new BpfmanError("INVALID_OBJECT", reason));
    const acquired = acquiredAt === null ? null : lineOf(acquiredAt);
    return { source: lineOf(instruction, fieldIn(reason ?? "")), ...(acquired === null ? {} : { acquired }) };
  } catch (unsound) {
    // libbpf reads objects that this reader does not; the refusal matters more than its place.
    if (unsound instanceof BpfmanError) return { source: null };
    throw unsound;
  }
}
