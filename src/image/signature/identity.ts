import { RE2JS } from "re2js";
import type { Match, Signer, TrustedIdentity } from "../../domain/signing.ts";

/**
 * Reports whether the signer matches a trusted identity and its issuer. Regular expressions must match the whole text,
 * in linear time.
 */
export const isTrusted = (
  signer: Extract<Signer, { kind: "identity" }>,
  trusted: readonly TrustedIdentity[],
): boolean => trusted.some((one) => matches(one.identity, signer.identity) && matches(one.issuer, signer.issuer));

const matches = (match: Match, text: string): boolean =>
  "exact" in match ? match.exact === text : RE2JS.compile(match.regexp).matches(text);

export function isPattern(source: string): boolean {
  try {
    RE2JS.compile(source);
    return true;
  } catch {
    return false;
  }
}
