/** The certificate authorities to trust. */
import { existsSync, readFileSync } from "node:fs";
import { rootCertificates } from "node:tls";
import { BpfmanError } from "../errors/error.ts";
import { sysPart } from "../errors/sys-failure.ts";

/** Where distributions store the system's certificate authorities: Debian, Red Hat, SUSE. */
const SYSTEM_BUNDLES = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/ca-bundle.pem",
];

/**
 * Returns certificates in PEM: the system's (or the runtime's if the system has none), those of NODE_EXTRA_CA_CERTS,
 * and those of `caFile`. Throws FILE_NOT_FOUND, FILE_UNREADABLE for the latter.
 */
export function trustedAuthorities(caFile: string | null, env: Readonly<Record<string, string | undefined>>): string[] {
  const bundle = SYSTEM_BUNDLES.find((path) => existsSync(path));
  const usual = bundle === undefined ? [...rootCertificates] : [readFileSync(bundle, "utf8")];
  const named = [caFile, env.NODE_EXTRA_CA_CERTS || null].filter((path) => path !== null);
  return [...usual, ...named.map(readCertificates)];
}

function readCertificates(path: string): string {
  try {
    const text = readFileSync(path, "utf8");
    if (text.includes("-----BEGIN CERTIFICATE-----")) return text;
  } catch (thrown) {
    const missing = (thrown as { readonly code?: string }).code === "ENOENT";
    const reason = missing ? "there is no such file" : "it cannot be read";
    throw new BpfmanError(
      missing ? "FILE_NOT_FOUND" : "FILE_UNREADABLE",
      `read the certificates in "${path}": ${reason}`,
      {
        details: { path },
        ...sysPart(thrown),
      },
    );
  }
  throw new BpfmanError("FILE_UNREADABLE", `read the certificates in "${path}": it has none in PEM`, {
    details: { path },
  });
}
