import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { LogPort } from "../../domain/log.ts";
import type { ImageVerification, SigningConfig, SigningRules } from "../../domain/signing.ts";
import { BpfmanError } from "../../errors/error.ts";
import type { VerifyRequest } from "../../platform/images.ts";
import type { Digest, Repository } from "../repository.ts";
import type { ImageVerifier } from "../verifier.ts";
import type { TrustedKey } from "./keys.ts";

interface Work {
  readonly signal: AbortSignal;
  readonly log: LogPort;
}

export interface VerifyOptions extends Work {
  readonly rules: SigningRules;
  /** Where the public trusted root is cached. */
  readonly rootDirectory: string;
  /** Examines every signature instead of stopping at the first trusted one. */
  readonly thorough: boolean;
}

/**
 * Throws what {@link verifyImage} throws, and FILE_NOT_FOUND, FILE_UNREADABLE, INVALID_KEY for the rules' key files.
 */
export async function verify(
  repository: Repository,
  digest: Digest,
  { rules, rootDirectory, thorough, log, signal }: VerifyOptions,
): Promise<ImageVerification> {
  const keys = readKeys(rules.trustedKeys);
  const { verifyImage } = await import("./verify.ts");
  const openTrustRoot = async () => {
    const trust = await import("./trust-root.ts");
    return trust.openTrustRoot({ file: rules.trustedRoot, cacheDirectory: rootDirectory }, { signal, log });
  };
  return verifyImage(repository, digest, { rules, keys, openTrustRoot, thorough, log });
}

/** Verifies pulled images against the configuration. Reads only the key files until it is used. */
export function openVerifier(signing: SigningConfig, rootDirectory: string): ImageVerifier {
  if (!signing.verifyEnabled) return { policy: "none", verify: async () => {} };
  return {
    policy: policyOf(signing),
    async verify(repository, digest, work) {
      await verify(repository, digest, { ...work, rules: signing, rootDirectory, thorough: false });
    },
  };
}

/**
 * Returns a name that is equal for equivalent rules: identities, the keys themselves, and the content of the trusted
 * root.
 */
function policyOf({ allowUnsigned, trustedIdentities, trustedKeys, trustedRoot }: SigningRules): string {
  const keys = readKeys(trustedKeys).map(({ fingerprint }) => fingerprint);
  const root = trustedRoot === null ? null : contentOf(trustedRoot);
  const rules = JSON.stringify({ allowUnsigned, trustedIdentities, keys, root });
  return `sha256:${new Bun.CryptoHasher("sha256").update(rules).digest("hex")}`;
}

/** Loads node:crypto only if there are keys. */
function readKeys(files: readonly string[]): TrustedKey[] {
  if (files.length === 0) return [];
  const { readKey } = require("./keys.ts") as typeof import("./keys.ts");
  return files.map(readKey);
}

/** An unreadable file is reported when it is needed, which is never the case if only keys are used. */
function contentOf(path: string): string {
  try {
    return new Bun.CryptoHasher("sha256").update(readFileSync(path)).digest("hex");
  } catch {
    return path;
  }
}

/** Merges a request's rules into the configured ones. Throws INVALID_REQUEST for an invalid regular expression. */
export async function rulesOf(request: VerifyRequest, configured: SigningRules): Promise<SigningRules> {
  const { allowUnsigned, trustedIdentities, trustedKeys, trustedRoot } = request;
  const patterns = trustedIdentities.flatMap(({ identity, issuer }) =>
    [identity, issuer].flatMap((match) => ("regexp" in match ? [match.regexp] : [])),
  );
  if (patterns.length > 0) {
    const { isPattern } = await import("./identity.ts");
    const wrong = patterns.find((pattern) => !isPattern(pattern));
    if (wrong !== undefined) {
      throw new BpfmanError("INVALID_REQUEST", `"${wrong}" is not a regular expression in RE2 syntax`);
    }
  }
  const named = trustedIdentities.length > 0 || trustedKeys.length > 0;
  return {
    allowUnsigned,
    trustedIdentities: named ? trustedIdentities : configured.trustedIdentities,
    trustedKeys: named ? trustedKeys.map((file) => resolve(file)) : configured.trustedKeys,
    trustedRoot: trustedRoot === null ? configured.trustedRoot : resolve(trustedRoot),
  };
}
