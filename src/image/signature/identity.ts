import { RE2JS } from "re2js";
import type { Match, Signer, TrustedIdentity } from "../../domain/signing.ts";

/**
 * Whether one of the trusted identities is that of the signer, vouched for by its issuer. A regular expression must match
 * the whole of the text, in time linear in its length.
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
