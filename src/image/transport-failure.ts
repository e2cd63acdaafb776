/** Converts errors of fetch to errors that say what is wrong and where. */
import { BpfmanError } from "../errors/error.ts";
import type { ErrorCode } from "../errors/codes.ts";

interface Attempt {
  readonly url: URL;
  /** Who was contacted, for messages. */
  readonly from: string;
  /** Whether the user interrupted the command. */
  readonly cancelled: boolean;
}

interface Failure {
  readonly error: BpfmanError;
  /** Whether a retry may succeed. */
  readonly passing: boolean;
}

interface Cause {
  readonly code: ErrorCode;
  readonly reason: string;
  readonly hint?: string;
  readonly passing?: true;
}

const UNREACHABLE = "REGISTRY_UNREACHABLE";

/** By error code: those of getaddrinfo(3), connect(2) and the HTTP client. */
const CAUSES: Readonly<Record<string, Cause>> = {
  ENOTFOUND: { code: UNREACHABLE, reason: "there is no such host", hint: "check the name, and that DNS works" },
  EAI_AGAIN: {
    code: UNREACHABLE,
    reason: "its name cannot be resolved right now",
    hint: "check the network connection",
  },
  ECONNREFUSED: { code: UNREACHABLE, reason: "nothing is listening there", hint: "check host and port" },
  ENETUNREACH: { code: UNREACHABLE, reason: "the network is unreachable", hint: "check the network connection" },
  EHOSTUNREACH: { code: UNREACHABLE, reason: "the host cannot be reached", hint: "check the network connection" },
  ECONNRESET: { code: UNREACHABLE, reason: "the connection was lost", passing: true },
  EPIPE: { code: UNREACHABLE, reason: "the connection was lost", passing: true },
  ETIMEDOUT: { code: UNREACHABLE, reason: "the connection timed out" },
  EPROTO: {
    code: UNREACHABLE,
    reason: "it does not speak TLS",
    hint: "only a registry on loopback may do without TLS",
  },
  ERR_TLS_CERT_ALTNAME_INVALID: {
    code: "REGISTRY_CERTIFICATE",
    reason: "its certificate is for another host",
    hint: "use a name that the certificate has",
  },
  CERT_HAS_EXPIRED: {
    code: "REGISTRY_CERTIFICATE",
    reason: "its certificate has expired",
    hint: "renew it, or check the clock of this machine",
  },
  CERT_NOT_YET_VALID: {
    code: "REGISTRY_CERTIFICATE",
    reason: "its certificate is not valid yet",
    hint: "check the clock of this machine",
  },
  DEPTH_ZERO_SELF_SIGNED_CERT: { code: "REGISTRY_CERTIFICATE", reason: "its certificate is self-signed" },
  SELF_SIGNED_CERT_IN_CHAIN: {
    code: "REGISTRY_CERTIFICATE",
    reason: "its certificate comes from an authority that is not trusted on this machine",
  },
  UNABLE_TO_GET_ISSUER_CERT: {
    code: "REGISTRY_CERTIFICATE",
    reason: "its certificate comes from an authority that is unknown on this machine",
  },
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: {
    code: "REGISTRY_CERTIFICATE",
    reason: "its certificate comes from an authority that is unknown on this machine",
  },
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: {
    code: "REGISTRY_CERTIFICATE",
    reason: "its certificate comes from an authority that is unknown on this machine",
  },
};

/** Returns the code of an error of fetch or of its cause; empty if there is none. */
export function codeOf(thrown: unknown): string {
  for (let each = thrown; each instanceof Error; each = each.cause) {
    const { code } = each as Error & { readonly code?: unknown };
    if (typeof code === "string") return code;
  }
  return "";
}

export function failureOf(thrown: unknown, { url, from, cancelled }: Attempt): Failure {
  const { host } = url;
  if (cancelled) {
    const error = new BpfmanError("CANCELLED", `talk to ${from}: interrupted`, { details: { host } });
    return { error, passing: false };
  }
  if (thrown instanceof BpfmanError) return { error: thrown, passing: false };
  const timeout = thrown instanceof Error && thrown.name === "TimeoutError";
  const cause: Cause = timeout
    ? { code: UNREACHABLE, reason: "it did not answer in time" }
    : (CAUSES[codeOf(thrown)] ?? {
        code: UNREACHABLE,
        // The client's message may contain the URL, which may contain a signature; the code is sufficient.
        reason: `the connection failed (${codeOf(thrown) || "unknown reason"})`,
      });
  const error = new BpfmanError(cause.code, `talk to ${from}: ${cause.reason}`, {
    details: { host, reason: codeOf(thrown) || null },
    ...(cause.hint === undefined ? {} : { hint: cause.hint }),
  });
  return { error, passing: cause.passing === true };
}
