/** A gRPC server of our own on a socket of the test's own, with methods that do as the test says. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LogPort } from "../../src/domain/log.ts";
import { Bpfman } from "../../src/grpc/generated/bpfman.ts";
import { healthMethods } from "../../src/grpc/health.ts";
import { type Listening, listenAt } from "../../src/grpc/listen.ts";
import { type Call, GrpcServer, type UnaryMethod, unary } from "../../src/grpc/server.ts";
import { GrpcClient } from "./grpc-client.ts";

type Get = (id: number, call: Call) => Promise<{ readonly info: { readonly name: string } }>;

export class GrpcBed {
  readonly #directory = mkdtempSync(join(tmpdir(), "bpfman-grpc-"));
  readonly path = join(this.#directory, "x.sock");
  readonly logged: string[] = [];
  readonly server: GrpcServer;
  readonly #clients: GrpcClient[] = [];
  #listening: Listening | null = null;
  /** What Get does. Unload always succeeds. */
  get: Get = async (id) => ({ info: { name: String(id) } });

  /** Serves these methods, or such as can be told what to do. */
  constructor(given: readonly UnaryMethod[] | null = null) {
    const note = (message: string): void => void this.logged.push(message);
    const log: LogPort = { error: note, warn: note, info: note, debug: () => {} };
    const methods = given ?? [
      unary(Bpfman.method.get, ({ id }, call) => this.get(id, call)),
      unary(Bpfman.method.unload, async () => ({})),
      unary(Bpfman.method.pullBytecode, async () => ({})),
    ];
    this.server = new GrpcServer({ methods: [...methods, ...healthMethods(methods)], log });
  }

  async open(): Promise<this> {
    this.#listening = await listenAt(this.server.http, { path: this.path, mode: 0o600, gid: process.getgid?.() ?? 0 });
    return this;
  }

  client(): GrpcClient {
    const client = new GrpcClient(this.path);
    this.#clients.push(client);
    return client;
  }

  async close(): Promise<void> {
    for (const client of this.#clients) client.close();
    this.#listening?.remove();
    await this.server.stop(0);
    rmSync(this.#directory, { recursive: true });
  }
}
