/** The frame around a gRPC message (grpc/doc/PROTOCOL-HTTP2.md): a flag, four bytes of length, the message. */
import { gunzipSync } from "node:zlib";
import { GRPC_REQUEST_BYTES_MAX } from "../domain/limits.ts";
import { STATUS, StatusError } from "./errors.ts";

const PREFIX_BYTES = 5;
const COMPRESSED = 1;

const tooLong = (): StatusError =>
  new StatusError(
    STATUS.RESOURCE_EXHAUSTED,
    `INVALID_REQUEST: read the request: it has more than ${GRPC_REQUEST_BYTES_MAX} bytes`,
  );
const malformed = (why: string): StatusError =>
  new StatusError(STATUS.INVALID_ARGUMENT, `INVALID_REQUEST: read the request: ${why}`);

/** Collects the body of a request, which is one message. */
export class RequestBody {
  readonly #parts: Uint8Array[] = [];
  #bytes = 0;

  /** Throws StatusError as soon as it is clear that there will be too much. */
  add(part: Uint8Array): void {
    this.#parts.push(part);
    this.#bytes += part.length;
    if (this.#bytes > PREFIX_BYTES + GRPC_REQUEST_BYTES_MAX) throw tooLong();
  }

  /** Returns the message. `encoding` is the header grpc-encoding. Throws StatusError. */
  message(encoding: string | undefined): Uint8Array {
    const body = Buffer.concat(this.#parts);
    if (body.length < PREFIX_BYTES) throw malformed("there is no message in it");
    const flag = body[0];
    const length = body.readUInt32BE(1);
    if (length > GRPC_REQUEST_BYTES_MAX) throw tooLong();
    const message = body.subarray(PREFIX_BYTES, PREFIX_BYTES + length);
    if (message.length < length) throw malformed("it ends within its message");
    if (body.length > PREFIX_BYTES + length) throw malformed("there is more than one message in it");
    if (flag === 0) return message;
    if (flag !== COMPRESSED) throw malformed(`its flag is ${flag}`);
    return uncompressed(message, encoding);
  }
}

function uncompressed(message: Uint8Array, encoding: string | undefined): Uint8Array {
  if (encoding !== "gzip") {
    const named = JSON.stringify(encoding ?? "identity");
    throw new StatusError(STATUS.UNIMPLEMENTED, `the request is compressed with ${named}: only gzip is understood`);
  }
  try {
    return gunzipSync(message, { maxOutputLength: GRPC_REQUEST_BYTES_MAX });
  } catch (thrown) {
    if ((thrown as { readonly code?: string }).code === "ERR_BUFFER_TOO_LARGE") throw tooLong();
    throw malformed("it is not compressed with gzip");
  }
}

export function framed(message: Uint8Array): Uint8Array {
  const frame = Buffer.allocUnsafe(PREFIX_BYTES + message.length);
  frame[0] = 0;
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, PREFIX_BYTES);
  return frame;
}

const UNIT_MS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };
/** The longest that a timer takes: 24 days. */
const TIMER_MS_MAX = 0x7fff_ffff;

/** Milliseconds of the header grpc-timeout; null if there is none. Throws StatusError. */
export function timeoutMs(header: string | undefined): number | null {
  if (header === undefined) return null;
  const [, digits = "", unit = ""] = /^(\d{1,8})([HMSmun])$/.exec(header) ?? [];
  const factor = UNIT_MS[unit];
  if (factor === undefined) throw malformed(`grpc-timeout is ${JSON.stringify(header.slice(0, 20))}, which is no time`);
  return Math.min(Math.ceil(Number(digits) * factor), TIMER_MS_MAX);
}
