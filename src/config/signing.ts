/** The `[signing]` section of the configuration. */
import { isAbsolute } from "node:path";
import * as v from "valibot";
import { IDENTITY_CHARS_MAX, TRUSTED_SIGNERS_MAX } from "../domain/limits.ts";
import { type Match, SIGNING_DEFAULT, type SigningConfig } from "../domain/signing.ts";

// These complete the sentence "KEY must be …"; those of checks complete "KEY must …".
const A_TABLE = "a table";
const TABLES = "an array of tables";
const SHORT = `be 1 to ${IDENTITY_CHARS_MAX} characters long`;
const FEWER = `at most ${TRUSTED_SIGNERS_MAX} tables`;
const flag = v.boolean("true or false");
const text = v.pipe(
  v.string("text"),
  v.check((value) => value !== "" && value.length <= IDENTITY_CHARS_MAX, SHORT),
);
const pattern = v.pipe(text, v.check(isPattern, "be a regular expression in RE2 syntax"));
const path = v.pipe(v.string("a path"), v.check(isAbsolute, "be an absolute path"));

const identity = v.strictObject(
  {
    certificate_identity: v.optional(text),
    certificate_identity_regexp: v.optional(pattern),
    certificate_oidc_issuer: v.optional(text),
    certificate_oidc_issuer_regexp: v.optional(pattern),
  },
  A_TABLE,
);
const identityOfOne = v.pipe(
  identity,
  v.check(
    (one) => (one.certificate_identity === undefined) !== (one.certificate_identity_regexp === undefined),
    "have either certificate_identity or certificate_identity_regexp",
  ),
  v.check(
    (one) => (one.certificate_oidc_issuer === undefined) !== (one.certificate_oidc_issuer_regexp === undefined),
    "have either certificate_oidc_issuer or certificate_oidc_issuer_regexp",
  ),
);
const key = v.strictObject({ file: path }, A_TABLE);
const listOf = <Entry extends v.GenericSchema>(entry: Entry) =>
  v.optional(v.pipe(v.array(entry, TABLES), v.maxLength(TRUSTED_SIGNERS_MAX, FEWER)), []);

export const signing = v.strictObject(
  {
    allow_unsigned: v.optional(flag, SIGNING_DEFAULT.allowUnsigned),
    verify_enabled: v.optional(flag, SIGNING_DEFAULT.verifyEnabled),
    trusted_identities: listOf(identityOfOne),
    trusted_keys: listOf(key),
    trusted_root: v.optional(path),
  },
  A_TABLE,
);

/** Returns the keys allowed in the section, or in a table of one of its arrays. */
export function signingKeys(subsection: string | undefined): string[] {
  if (subsection === "trusted_identities") return Object.keys(identity.entries);
  if (subsection === "trusted_keys") return Object.keys(key.entries);
  return Object.keys(signing.entries);
}

export const signingConfig = (section: v.InferOutput<typeof signing>): SigningConfig => ({
  verifyEnabled: section.verify_enabled,
  allowUnsigned: section.allow_unsigned,
  trustedIdentities: section.trusted_identities.map((one) => ({
    identity: match(one.certificate_identity, one.certificate_identity_regexp),
    issuer: match(one.certificate_oidc_issuer, one.certificate_oidc_issuer_regexp),
  })),
  trustedKeys: section.trusted_keys.map(({ file }) => file),
  trustedRoot: section.trusted_root ?? null,
});

/** The schema guarantees that one of the two is present. */
const match = (exact: string | undefined, regexp: string | undefined): Match =>
  exact === undefined ? { regexp: regexp as string } : { exact };

function isPattern(source: string): boolean {
  // Loaded only if there is a regular expression to check. The schema is synchronous, so it cannot use import().
  const { RE2JS } = require("re2js") as typeof import("re2js");
  try {
    RE2JS.compile(source);
    return true;
  } catch {
    return false;
  }
}
