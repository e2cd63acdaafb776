import { createHash, createPublicKey, type KeyObject, verify } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { KEY_FILE_BYTES_MAX } from "../../domain/limits.ts";
import { BpfmanError } from "../../errors/error.ts";
import { errnoName, reasonOf, sysPart } from "../../errors/sys-failure.ts";

export interface TrustedKey {
  readonly file: string;
  /** `sha256:` and the hex digest of the DER-encoded key (SubjectPublicKeyInfo). */
  readonly fingerprint: string;
  readonly key: KeyObject;
}

/** Reads a public key in PEM. Throws FILE_NOT_FOUND, FILE_UNREADABLE, INVALID_KEY. */
export function readKey(file: string): TrustedKey {
  const pem = readSmallFile(file, "trusted key", KEY_FILE_BYTES_MAX);
  // A private key would work as well, but must not be stored where a public key is expected.
  if (!/^-----BEGIN (RSA )?PUBLIC KEY-----$/m.test(pem)) throw invalidKey(file, "it has no public key in PEM");
  try {
    const key = createPublicKey(pem);
    const der = key.export({ type: "spki", format: "der" });
    return { file, fingerprint: `sha256:${createHash("sha256").update(der).digest("hex")}`, key };
  } catch (cause) {
    throw invalidKey(file, reasonOf(cause), cause);
  }
}

const invalidKey = (file: string, reason: string, cause?: unknown): BpfmanError =>
  new BpfmanError("INVALID_KEY", `read trusted key "${file}": ${reason}`, { details: { path: file }, cause });

/** Reads a regular text file named in the configuration. `what` is its purpose, for messages. */
export function readSmallFile(path: string, what: string, bytesMax: number): string {
  const refuse = (reason: string, cause?: unknown): BpfmanError =>
    new BpfmanError("FILE_UNREADABLE", `read ${what} "${path}": ${reason}`, {
      details: { path },
      ...sysPart(cause),
      cause,
    });
  try {
    const stat = statSync(path);
    if (!stat.isFile()) throw refuse("it is not a regular file");
    if (stat.size > bytesMax) throw refuse(`it has more than ${bytesMax} bytes`);
    return readFileSync(path, "utf8");
  } catch (thrown) {
    if (thrown instanceof BpfmanError) throw thrown;
    const isMissing = errnoName(thrown) === "ENOENT" || errnoName(thrown) === "ENOTDIR";
    if (!isMissing) throw refuse(reasonOf(thrown), thrown);
    throw new BpfmanError("FILE_NOT_FOUND", `read ${what} "${path}": there is no such file`, { details: { path } });
  }
}

/** Reports whether the key made this signature over the message. */
export function signedBy(key: KeyObject, message: Uint8Array, signature: Uint8Array): boolean {
  return hashesOf(key).some((hash) => {
    try {
      return verify(hash, message, key, signature);
    } catch {
      return false;
    }
  });
}

/** cosign's hash for a key: always SHA-256 in 2.x; in 3.x, for long curves a hash as long as the curve. */
function hashesOf(key: KeyObject): readonly (string | null)[] {
  if (key.asymmetricKeyType === "ed25519") return [null];
  switch (key.asymmetricKeyDetails?.namedCurve) {
    case "secp384r1":
      return ["sha256", "sha384"];
    case "secp521r1":
      return ["sha256", "sha512"];
    default:
      return ["sha256"];
  }
}
