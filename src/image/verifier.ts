import type { LogPort } from "../domain/log.ts";
import type { Digest, Repository } from "./repository.ts";

/** Decides whether an image may be used. Pulling asks it once for each digest that it resolved, before it fetches more. */
export interface ImageVerifier {
  /**
   * Names the rules in force, their keys and identities included: what was accepted under the same rules is not asked
   * about again, so that an image in the cache needs no network.
   */
  readonly policy: string;
  /** Throws when the digest (of the index, where there is one) may not be used. */
  verify(
    repository: Repository,
    digest: Digest,
    work: { readonly signal: AbortSignal; readonly log: LogPort },
  ): Promise<void>;
}
