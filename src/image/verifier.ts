import type { LogPort } from "../domain/log.ts";
import type { Digest, Repository } from "./repository.ts";

/** Decides whether an image may be used. A pull calls it once per resolved digest, before it fetches more. */
export interface ImageVerifier {
  /**
   * Identifies the current rules, including keys and identities. What was accepted under the same rules is not verified
   * again, so that a cached image needs no network.
   */
  readonly policy: string;
  /** Throws if the digest (of the index, if there is one) may not be used. */
  verify(
    repository: Repository,
    digest: Digest,
    work: { readonly signal: AbortSignal; readonly log: LogPort },
  ): Promise<void>;
}
