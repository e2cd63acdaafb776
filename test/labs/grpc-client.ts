/** A gRPC client of its own: calls over HTTP/2 on a Unix socket, which can also be wrong on purpose. */
import {
  create,
  type DescMessage,
  type DescMethodUnary,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { type ClientHttp2Session, type ClientHttp2Stream, connect, type OutgoingHttpHeaders } from "node:http2";
import { connect as connectSocket } from "node:net";

/** How a call ended. */
export interface Ended {
  readonly http: number;
  /** The number of grpc-status; null if there was none. */
  readonly status: number | null;
  readonly message: string;
  readonly body: Uint8Array;
}

export class CallFailed extends Error {
  readonly status: number | null;

  constructor({ status, message }: Ended) {
    super(message);
    this.status = status;
  }
}

export const frame = (message: Uint8Array, flag = 0, length = message.length): Buffer => {
  const prefix = Buffer.alloc(5);
  prefix[0] = flag;
  prefix.writeUInt32BE(length, 1);
  return Buffer.concat([prefix, message]);
};

export class GrpcClient {
  readonly session: ClientHttp2Session;

  constructor(socket: string) {
    this.session = connect("http://localhost", { createConnection: () => connectSocket(socket) });
    this.session.on("error", () => {});
  }

  /** Throws CallFailed. */
  async call<Input extends DescMessage, Output extends DescMessage>(
    method: DescMethodUnary<Input, Output>,
    request: MessageInitShape<Input>,
    headers: OutgoingHttpHeaders = {},
  ): Promise<MessageShape<Output>> {
    const path = `/${method.parent.typeName}/${method.name}`;
    const ended = await this.send(path, frame(toBinary(method.input, create(method.input, request))), headers);
    if (ended.status !== 0) throw new CallFailed(ended);
    return fromBinary(method.output, ended.body.subarray(5));
  }

  open(path: string, headers: OutgoingHttpHeaders = {}): ClientHttp2Stream {
    const usual = { ":method": "POST", ":path": path, "content-type": "application/grpc", te: "trailers" };
    return this.session.request({ ...usual, ...headers });
  }

  send(path: string, body: Uint8Array, headers: OutgoingHttpHeaders = {}): Promise<Ended> {
    const stream = this.open(path, headers);
    stream.end(body);
    return ended(stream);
  }

  close(): void {
    this.session.destroy();
  }
}

/** Rejects if the stream ends without an answer. */
export function ended(stream: ClientHttp2Stream): Promise<Ended> {
  const { promise, resolve, reject } = Promise.withResolvers<Ended>();
  const parts: Buffer[] = [];
  let all: Record<string, unknown> = {};
  stream.on("response", (headers) => {
    all = { ...all, ...headers };
  });
  stream.on("trailers", (headers) => {
    all = { ...all, ...headers };
  });
  stream.on("data", (part: Buffer) => parts.push(part));
  stream.on("error", reject);
  stream.on("close", () => {
    const { ":status": http, "grpc-status": status, "grpc-message": message = "" } = all;
    if (http === undefined) return reject(new Error("no answer"));
    resolve({
      http: Number(http),
      status: status === undefined ? null : Number(status),
      message: decodeURIComponent(String(message)),
      body: Buffer.concat(parts),
    });
  });
  return promise;
}
