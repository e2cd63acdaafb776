import type { Bundle } from "@sigstore/bundle";
import { BpfmanError } from "../../errors/error.ts";
import { reasonOf } from "../../errors/sys-failure.ts";

/** A signature that is over the right content; who made it is yet to be proven. */
export interface Signed {
  /** What the signature is over. */
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
  /** Signature, certificate and log entries, and the content they are for. Null when there is a key only. */
  readonly certified: { readonly bundle: Bundle; readonly payload: Buffer } | null;
}

/** Entries of logs, and time stamps, of one signature: one is usual, and each costs time to check. */
const PROOFS_MAX = 16;

/** Reads a Sigstore bundle, and nothing but its shape. Throws SIGNATURE_INVALID. */
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

/** The reason ends a sentence that begins with the signature. */
export const invalid = (reason: string): BpfmanError => new BpfmanError("SIGNATURE_INVALID", reason);

/** Bytes in base64, of whatever length; throws SIGNATURE_INVALID for anything else. `what` names it in the message. */
export function base64(text: unknown, what: string): Buffer {
  if (typeof text !== "string" || !/^[A-Za-z0-9+/]+={0,2}$/.test(text)) throw invalid(`its ${what} is not in base64`);
  return Buffer.from(text, "base64");
}
