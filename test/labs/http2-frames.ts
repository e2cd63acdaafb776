/** HTTP/2 byte by byte (RFC 9113), for what no client library would send. */
import { connect, type Socket } from "node:net";

export const TYPE = {
  DATA: 0,
  HEADERS: 1,
  PRIORITY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const;
export const FLAG = { ACK: 1, END_STREAM: 1, END_HEADERS: 4 } as const;
const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

export function http2Frame(
  type: number,
  flags: number,
  stream: number,
  payload: Uint8Array = new Uint8Array(),
): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

export const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};

export const setting = (id: number, value: number): Buffer => {
  const bytes = Buffer.alloc(6);
  bytes.writeUInt16BE(id);
  bytes.writeUInt32BE(value, 2);
  return bytes;
};

/** An integer behind a prefix of so many bits (RFC 7541, 5.1). */
function hpackInteger(value: number, bits: number, first: number): number[] {
  const max = 2 ** bits - 1;
  if (value < max) return [first | value];
  const bytes = [first | max];
  let rest = value - max;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  return [...bytes, rest];
}

const hpackText = (text: string): Buffer => {
  const bytes = Buffer.from(text);
  return Buffer.concat([Buffer.from(hpackInteger(bytes.length, 7, 0)), bytes]);
};

/** A field that the receiver is to remember (0x40), or not (0). */
export const hpackField = (name: string, value: string, how: 0 | 0x40 = 0): Buffer =>
  Buffer.concat([Buffer.from([how]), hpackText(name), hpackText(value)]);

/** A field that it remembers: 62 is the last one that it was told. */
export const hpackIndexed = (index: number): Buffer => Buffer.from(hpackInteger(index, 7, 0x80));

export const callHeaders = (path: string): Buffer =>
  Buffer.concat([
    hpackField(":method", "POST"),
    hpackField(":scheme", "http"),
    hpackField(":path", path),
    hpackField(":authority", "localhost"),
    hpackField("content-type", "application/grpc"),
    hpackField("te", "trailers"),
  ]);

/** A connection that says what it is told to. What it receives is only counted. */
export class RawClient {
  readonly socket: Socket;
  readonly closed: Promise<void>;
  isClosed = false;
  receivedBytes = 0;

  constructor(path: string, settings: Uint8Array = new Uint8Array()) {
    this.socket = connect(path);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    this.socket.on("error", () => {});
    this.socket.on("close", () => {
      this.isClosed = true;
      resolve();
    });
    this.socket.on("data", (part: Buffer) => {
      this.receivedBytes += part.length;
    });
    this.socket.write(Buffer.concat([Buffer.from(PREFACE), http2Frame(TYPE.SETTINGS, 0, 0, settings)]));
  }

  /** Waits until the kernel has taken it, the connection has ended, or the server has not read for that long. */
  async send(bytes: Uint8Array, ms = 2000): Promise<void> {
    if (this.isClosed || this.socket.write(bytes)) return;
    const drained = new Promise<void>((resolve) => this.socket.once("drain", () => resolve()));
    await Promise.race([drained, this.closed, Bun.sleep(ms)]);
  }

  /** Reads nothing any more. */
  deafen(): void {
    this.socket.pause();
  }

  end(): void {
    this.socket.destroy();
  }
}
