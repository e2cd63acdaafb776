/** HTTP for registries: limits on bytes, time, redirects and attempts; credentials stay with their origin. */
import {
  REGISTRY_ATTEMPTS_MAX,
  REGISTRY_IDLE_TIMEOUT_MS,
  REGISTRY_PAUSE_MAX_MS,
  REGISTRY_PAUSE_MS,
  REGISTRY_REDIRECTS_MAX,
  REGISTRY_TEXT_BYTES_MAX,
  REGISTRY_TOTAL_TIMEOUT_MS,
} from "../domain/limits.ts";
import { BpfmanError } from "../errors/error.ts";
import { objectionTo, type Resolve, resolveName } from "./destination.ts";
import { failureOf } from "./transport-failure.ts";

export interface Exchange {
  readonly method: "GET" | "HEAD" | "POST" | "PUT";
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /** The body contains credentials and is not sent to another origin. */
  readonly confidential?: true;
  /** Who is contacted, for messages. Defaults to the registry. */
  readonly partner?: string;
  /** Largest body of a successful response. Of other responses, only the beginning is read. */
  readonly bytesMax: number;
  /** Creates the error for a longer body. Defaults to REGISTRY_FAILED. */
  tooLong?(): BpfmanError;
  /** How often it is sent at most. Defaults to {@link REGISTRY_ATTEMPTS_MAX}. */
  readonly attempts?: number;
  /** Called with the number of body bytes received so far. */
  received?(bytes: number): void;
}

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  /** The final URL, after redirects. */
  readonly url: URL;
  /** The host it came from, for messages: `the registry a.example`. */
  readonly from: string;
  readonly body: Uint8Array;
}

export interface Transport {
  /**
   * Returns responses of any status except redirects. Throws REGISTRY_UNREACHABLE, REGISTRY_CERTIFICATE,
   * REGISTRY_FAILED, CANCELLED.
   */
  send(exchange: Exchange): Promise<Reply>;
  /**
   * Throws REGISTRY_FAILED if a registry may not send bpfman to that address; `doing` describes the attempt: `it
   * redirects to`.
   */
  checkDestination(target: URL, reply: Pick<Reply, "url" | "from">, doing: string): Promise<void>;
}

export interface TransportOptions {
  readonly signal: AbortSignal;
  /** CA certificates in PEM that replace the runtime's own; null to use those. */
  readonly authorities: readonly string[] | null;
  /** Set in tests. Defaults to the system's resolver. */
  readonly resolve?: Resolve;
  /** Set in tests. Defaults to the limits of src/domain/limits.ts. */
  readonly idleTimeoutMs?: number;
  readonly totalTimeoutMs?: number;
}

/** Responses that may succeed on a retry. */
const isPassing = (status: number): boolean => status === 429 || (status >= 500 && status <= 504 && status !== 501);

/** The current URL of a request, across redirects. */
interface Place {
  url: URL;
  from: string;
}

export function openTransport(options: TransportOptions): Transport {
  const { signal, authorities, idleTimeoutMs = REGISTRY_IDLE_TIMEOUT_MS } = options;
  const resolve = options.resolve ?? resolveName;
  // A DNS server may stay silent longer than a user who interrupts wants to wait.
  const interrupted = new Promise<readonly string[]>((done) =>
    signal.addEventListener("abort", () => done([]), { once: true }),
  );
  const tls = authorities === null ? {} : { tls: { ca: [...authorities] } };

  return {
    checkDestination,

    async send(exchange) {
      const total = AbortSignal.timeout(options.totalTimeoutMs ?? REGISTRY_TOTAL_TIMEOUT_MS);
      for (let attempt = 1; ; attempt++) {
        const last = attempt >= (exchange.attempts ?? REGISTRY_ATTEMPTS_MAX);
        let pauseMs = REGISTRY_PAUSE_MS * 3 ** (attempt - 1) * (0.75 + Math.random() / 2);
        const place: Place = { url: exchange.url, from: partnerOf(exchange, exchange.url) };
        try {
          const reply = await follow(exchange, place, total);
          if (last || !isPassing(reply.status)) return reply;
          const asked = retryAfterMs(reply.headers);
          if (asked !== null && asked > REGISTRY_PAUSE_MAX_MS) return reply;
          pauseMs = Math.max(pauseMs, asked ?? 0);
        } catch (thrown) {
          const failure = failureOf(thrown, { ...place, cancelled: signal.aborted });
          if (last || !failure.passing || total.aborted) throw failure.error;
        }
        await pause(pauseMs, AbortSignal.any([signal, total]), place);
      }
    },
  };

  async function checkDestination(target: URL, reply: Pick<Reply, "url" | "from">, doing: string): Promise<void> {
    const objection = await objectionTo(target, reply.url, (name) => Promise.race([resolve(name), interrupted]));
    if (objection !== null) throw failed(reply, `${doing} ${objection}`);
  }

  /** Sends a request and follows redirects; `place` holds the current URL. */
  async function follow(exchange: Exchange, place: Place, total: AbortSignal): Promise<Reply> {
    let { headers = {} } = exchange;
    for (let redirects = 0; ; redirects++) {
      const reply = { ...(await once({ ...exchange, ...place, headers }, total)), ...place };
      const target = redirectOf(reply, exchange.method);
      if (target === null) return reply;
      if (redirects === REGISTRY_REDIRECTS_MAX) {
        throw failed(reply, `it redirects more than ${REGISTRY_REDIRECTS_MAX} times`);
      }
      await checkDestination(target, reply, "it redirects to");
      if (target.origin !== place.url.origin) {
        if (exchange.confidential) {
          throw failed(reply, `it redirects a request with credentials to another host, ${target.host}`);
        }
        headers = withoutAuthorization(headers);
      }
      place.url = target;
      place.from = partnerOf(exchange, target);
    }
  }

  async function once(
    { url, from, method, headers, body, ...exchange }: Exchange & Place,
    total: AbortSignal,
  ): Promise<Omit<Reply, "from">> {
    const idle = new AbortController();
    const timer = setTimeout(
      () => idle.abort(new DOMException("no data arrived in time", "TimeoutError")),
      idleTimeoutMs,
    );
    try {
      const request: BunFetchRequestInit & { readonly timeout: false } = {
        method,
        headers: { ...headers },
        ...(body === undefined ? {} : { body: Buffer.from(body) }),
        redirect: "manual",
        signal: AbortSignal.any([signal, total, idle.signal]),
        // Content is verified by the digest of the bytes as sent. Timeouts are handled here.
        decompress: false,
        timeout: false,
        ...tls,
      };
      const response = await fetch(url, request);
      const success = response.status < 300;
      const bytesMax = success ? exchange.bytesMax : REGISTRY_TEXT_BYTES_MAX;
      const bytes = await read(response, bytesMax, (count) => {
        timer.refresh();
        if (success) exchange.received?.(count);
      });
      if (bytes.length > bytesMax && success) {
        throw exchange.tooLong?.() ?? failed({ url, from }, `its answer has more than ${bytesMax} bytes`);
      }
      return { status: response.status, headers: response.headers, url, body: bytes.subarray(0, bytesMax) };
    } finally {
      clearTimeout(timer);
    }
  }
}

/** Reads the body, stopping as soon as it exceeds `bytesMax` bytes. */
async function read(response: Response, bytesMax: number, received: (bytes: number) => void): Promise<Uint8Array> {
  const reader = response.body?.getReader();
  if (reader === undefined) return new Uint8Array(0);
  const pieces: Uint8Array[] = [];
  let length = 0;
  try {
    while (length <= bytesMax) {
      const { done, value } = await reader.read();
      if (done) break;
      pieces.push(value);
      length += value.length;
      received(length);
    }
  } finally {
    if (length > bytesMax) await reader.cancel().catch(() => {});
  }
  return Buffer.concat(pieces);
}

/** Returns the target of a redirect; null if there is none, or if a request with a body must not follow it. */
function redirectOf({ status, headers, url, from }: Reply, method: Exchange["method"]): URL | null {
  const location = headers.get("location");
  const reading = method === "GET" || method === "HEAD";
  const follows = status === 307 || status === 308 || (reading && (status === 301 || status === 302 || status === 303));
  if (!follows || location === null) return null;
  try {
    return new URL(location, url);
  } catch {
    throw failed({ url, from }, "it redirects to an invalid address");
  }
}

const withoutAuthorization = (headers: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => name.toLowerCase() !== "authorization"));

/** Parses seconds or a date (RFC 9110, 10.2.3); returns null if it is neither. */
function retryAfterMs(headers: Headers): number | null {
  const text = headers.get("retry-after");
  if (text === null) return null;
  const ms = /^[0-9]+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  return Number.isNaN(ms) ? null : Math.max(0, ms);
}

function pause(ms: number, signal: AbortSignal, place: Place): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(
        failureOf(signal.reason, { ...place, cancelled: (signal.reason as Error)?.name !== "TimeoutError" }).error,
      );
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, ms);
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
  });
}

function partnerOf({ url: first, partner = "the registry" }: Exchange, url: URL): string {
  const whole = `${partner} ${first.host}`;
  return url.host === first.host ? whole : `${url.host} (to which ${whole} redirects)`;
}

/** Creates the error for a response that violates the protocol. */
export const failed = ({ url, from }: Pick<Reply, "url" | "from">, reason: string): BpfmanError =>
  new BpfmanError("REGISTRY_FAILED", `talk to ${from}: ${reason}`, { details: { host: url.host } });
