/** HTTP as registries need it: bounded in bytes, time, redirects and attempts; credentials stay with their origin. */
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
import { failureOf } from "./transport-failure.ts";

export interface Exchange {
  readonly method: "GET" | "HEAD" | "POST" | "PUT";
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /** Largest body taken of an answer that is a success; of others only the beginning is read. */
  readonly bytesMax: number;
  /** The error for a longer body; REGISTRY_FAILED otherwise. */
  tooLong?(): BpfmanError;
  /** How often it is sent at most; {@link REGISTRY_ATTEMPTS_MAX} otherwise. */
  readonly attempts?: number;
  /** Bytes of the body that are there so far. */
  received?(bytes: number): void;
}

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  /** Where it came from, after redirects. */
  readonly url: URL;
  readonly body: Uint8Array;
}

export interface Transport {
  /** Any status that is no redirect is a reply. Throws REGISTRY_UNREACHABLE, REGISTRY_CERTIFICATE, REGISTRY_FAILED, CANCELLED. */
  send(exchange: Exchange): Promise<Reply>;
}

export interface TransportOptions {
  readonly signal: AbortSignal;
  /** Certificates of authorities in PEM, instead of those that the runtime brings along; null for these. */
  readonly authorities: readonly string[] | null;
  /** For tests; the bounds of src/domain/limits.ts otherwise. */
  readonly idleTimeoutMs?: number;
  readonly totalTimeoutMs?: number;
}

/** An answer that may be better the next time. */
const isPassing = (status: number): boolean => status === 429 || (status >= 500 && status <= 504 && status !== 501);

/** 127.0.0.0/8, ::1 and `localhost` (RFC 6761): the only hosts that are talked to without TLS. */
export const isLoopback = (hostname: string): boolean =>
  hostname === "localhost" || hostname === "[::1]" || /^127(\.[0-9]{1,3}){3}$/.test(hostname);

export function openTransport(options: TransportOptions): Transport {
  const { signal, authorities, idleTimeoutMs = REGISTRY_IDLE_TIMEOUT_MS } = options;
  const tls = authorities === null ? {} : { tls: { ca: [...authorities] } };

  return {
    async send(exchange) {
      const total = AbortSignal.timeout(options.totalTimeoutMs ?? REGISTRY_TOTAL_TIMEOUT_MS);
      for (let attempt = 1; ; attempt++) {
        const last = attempt >= (exchange.attempts ?? REGISTRY_ATTEMPTS_MAX);
        let pauseMs = REGISTRY_PAUSE_MS * 3 ** (attempt - 1) * (0.75 + Math.random() / 2);
        try {
          const reply = await follow(exchange, total);
          if (last || !isPassing(reply.status)) return reply;
          const asked = retryAfterMs(reply.headers);
          if (asked !== null && asked > REGISTRY_PAUSE_MAX_MS) return reply;
          pauseMs = Math.max(pauseMs, asked ?? 0);
        } catch (thrown) {
          const failure = failureOf(thrown, { url: exchange.url, cancelled: signal.aborted });
          if (last || !failure.passing || total.aborted) throw failure.error;
        }
        await pause(pauseMs, AbortSignal.any([signal, total]), exchange.url);
      }
    },
  };

  /** Sends, and sends again to where it is redirected. */
  async function follow(exchange: Exchange, total: AbortSignal): Promise<Reply> {
    let { url, headers = {} } = exchange;
    for (let redirects = 0; ; redirects++) {
      const reply = await once({ ...exchange, url, headers }, total);
      const target = redirectOf(reply, exchange.method);
      if (target === null) return reply;
      if (redirects === REGISTRY_REDIRECTS_MAX) {
        throw failed(exchange.url, `it redirects more than ${REGISTRY_REDIRECTS_MAX} times`);
      }
      const plainIsFine = url.protocol === "http:" && isLoopback(target.hostname);
      if (target.protocol !== "https:" && !(target.protocol === "http:" && plainIsFine)) {
        throw failed(exchange.url, `it redirects to ${target.protocol}//${target.host}, which is not encrypted`);
      }
      if (target.origin !== url.origin) headers = withoutAuthorization(headers);
      url = target;
    }
  }

  async function once({ url, method, headers, body, ...exchange }: Exchange, total: AbortSignal): Promise<Reply> {
    const idle = new AbortController();
    const timer = setTimeout(() => idle.abort(new DOMException("nothing came in time", "TimeoutError")), idleTimeoutMs);
    try {
      const request: BunFetchRequestInit & { readonly timeout: false } = {
        method,
        headers: { ...headers },
        ...(body === undefined ? {} : { body: Buffer.from(body) }),
        redirect: "manual",
        signal: AbortSignal.any([signal, total, idle.signal]),
        // Content is checked by its digest, as it was sent. The time-outs are our own.
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
        throw exchange.tooLong?.() ?? failed(url, `its answer has more than ${bytesMax} bytes`);
      }
      return { status: response.status, headers: response.headers, url, body: bytes.subarray(0, bytesMax) };
    } finally {
      clearTimeout(timer);
    }
  }
}

/** The body; reading ends as soon as it has more than `bytesMax` bytes. */
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

/** Where an answer leads; null when it is no redirect, or one that a request with a body must not follow. */
function redirectOf({ status, headers, url }: Reply, method: Exchange["method"]): URL | null {
  const location = headers.get("location");
  const reading = method === "GET" || method === "HEAD";
  const follows = status === 307 || status === 308 || (reading && (status === 301 || status === 302 || status === 303));
  if (!follows || location === null) return null;
  try {
    return new URL(location, url);
  } catch {
    throw failed(url, "it redirects to what is no address");
  }
}

const withoutAuthorization = (headers: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => name.toLowerCase() !== "authorization"));

/** Seconds or a date (RFC 9110, 10.2.3); null when it says nothing. */
function retryAfterMs(headers: Headers): number | null {
  const text = headers.get("retry-after");
  if (text === null) return null;
  const ms = /^[0-9]+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  return Number.isNaN(ms) ? null : Math.max(0, ms);
}

function pause(ms: number, signal: AbortSignal, url: URL): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(failureOf(signal.reason, { url, cancelled: (signal.reason as Error)?.name !== "TimeoutError" }).error);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, ms);
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
  });
}

/** The registry does something that registries do not do. */
export const failed = (url: URL, reason: string): BpfmanError =>
  new BpfmanError("REGISTRY_FAILED", `talk to the registry ${url.host}: ${reason}`, { details: { host: url.host } });
