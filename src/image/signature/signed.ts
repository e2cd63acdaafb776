import type { Bundle } from "@sigstore/bundle";
import { BpfmanError } from "../../errors/error.ts";
import { reasonOf } from "../../errors/sys-failure.ts";

/** A signature over the right content, whose signer is still to be verified. */
export interface Signed {
  /** The message that was signed. */
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
  /** Signature, certificate and log entries, with the content they are for. Null if there is only a key. */
  readonly certified: { readonly bundle: Bundle; readonly payload: Buffer } | null;
}

/** Log entries and timestamps per signature. One is usual, and verifying each takes time. */
const PROOFS_MAX = 16;

/** Parses a Sigstore bundle without verifying it. Throws SIGNATURE_INVALID. */
export async function readBundle(value: unknown): Promise<Bundle> {
  const { bundleFromJSON } = await import("@sigstore/bundle");
  let bundle: Bundle;
  try {
    bundle = bundleFromJSON(value);
  } catch (thrown) {
    throw invalid(`its bundle cannot be read: ${reasonOf(thrown)}`);
  }
  const { tlogEntries, timestampVerificationData } = bundle.verificationMaterial;
  if (tlogEntries.length > PROOFS_MAX || (timestampVerificationData?.rfc3161Timestamps.length ?? 0) > PROOFS_MAX) {
    throw invalid(`its bundle has more than ${PROOFS_MAX} log entries or time stamps`);
  }
  return bundle;
}

/** The reason completes a sentence whose subject is the signature. */
export const invalid = (reason: string): BpfmanError => new BpfmanError("SIGNATURE_INVALID", reason);

/** Decodes base64 of any length; throws SIGNATURE_INVALID for anything else. `what` names it in the message. */
export function base64(text: unknown, what: string): Buffer {
  if (typeof text !== "string" || !/^[A-Za-z0-9+/]+={0,2}$/.test(text)) throw invalid(`its ${what} is not in base64`);
  return Buffer.from(text, "base64");
}
