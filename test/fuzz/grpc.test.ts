/**
 * Sends messages that are nearly right to the transport, over a socket: each must be answered with a status, and the
 * server must go on. Prints its seed; BPFMAN_FUZZ_SEED=N repeats a run, BPFMAN_GRPC_MESSAGES=N sends more.
 */
import { expect, test } from "bun:test";
import { gzipSync } from "node:zlib";
import { create, type DescMessage, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { BpfmanError } from "../../src/errors/error.ts";
import { bpfmanMethods } from "../../src/grpc/bpfman-v1.ts";
import { Bpfman } from "../../src/grpc/generated/bpfman.ts";
import { randomFrom } from "../fakes/random.ts";
import { GrpcBed } from "../labs/grpc-bed.ts";
import { frame, type GrpcClient } from "../labs/grpc-client.ts";

const SEED = Number(process.env.BPFMAN_FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 32));
const MESSAGES = Number(process.env.BPFMAN_GRPC_MESSAGES ?? 3000);
const AT_ONCE = 50;

const ATTACH = { priority: 5, iface: "eth0", netns: "/run/netns/x", metadata: { a: "b" } };
const WHOLE: readonly (readonly [keyof typeof Bpfman.method, object])[] = [
  [
    "load",
    {
      bytecode: {
        location: { case: "image", value: { url: "a/b:c", imagePullPolicy: 1, username: "u", password: "p" } },
      },
      metadata: { "bpfman.io/uuid": "x", __proto__x: "y" },
      globalData: { LIMIT: new Uint8Array(8) },
      mapOwnerId: 7,
      info: [{ name: "f", programType: 5, info: { info: { case: "fentryLoadInfo", value: { fnName: "g" } } } }],
    },
  ],
  ["attach", { id: 5, attach: { info: { case: "xdpAttachInfo", value: { ...ATTACH, proceedOn: [1, 2, 31] } } } }],
  [
    "attach",
    { id: 5, attach: { info: { case: "tcAttachInfo", value: { ...ATTACH, direction: "egress", proceedOn: [-1] } } } },
  ],
  [
    "attach",
    { id: 5, attach: { info: { case: "uprobeAttachInfo", value: { target: "/x", offset: 2n ** 63n, pid: -1 } } } },
  ],
  ["get", { id: 4294967295 }],
  ["list", { programType: 6, bpfmanProgramsOnly: true, matchMetadata: { a: "b" } }],
  ["unload", { id: 1 }],
  ["detach", { linkId: 1 }],
  ["pullBytecode", { image: { url: "x".repeat(300) } }],
];

class Mutator {
  readonly #random: () => number;

  constructor(seed: number) {
    this.#random = randomFrom(seed);
  }

  below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  /** A path, a body and headers, damaged in one to three ways. */
  request(): { readonly path: string; readonly body: Uint8Array; readonly headers: Record<string, string> } {
    const [name, value] = WHOLE[this.below(WHOLE.length)] ?? ["get", {}];
    const method = Bpfman.method[name];
    let message: Buffer = Buffer.from(
      toBinary(
        method.input as DescMessage,
        create(method.input as DescMessage, value as MessageInitShape<DescMessage>),
      ),
    );
    for (let times = 1 + this.below(3); times > 0; times--) message = this.#damaged(message);
    const isPacked = this.below(8) === 0;
    const flag = this.below(40) === 0 ? this.below(256) : Number(isPacked);
    const length = this.below(40) === 0 ? this.below(2 ** 32) : undefined;
    const packed = isPacked ? gzipSync(message) : message;
    const path =
      this.below(50) === 0 ? `/bpfman.v1.Bpfman/${"x".repeat(this.below(2000))}` : `/bpfman.v1.Bpfman/${method.name}`;
    const headers = this.below(4) === 0 ? { "grpc-encoding": "gzip", "grpc-timeout": "10S" } : {};
    return { path, body: frame(packed, flag, length ?? packed.length), headers };
  }

  #damaged(bytes: Buffer): Buffer {
    const at = this.below(bytes.length + 1);
    const copy = Buffer.from(bytes);
    switch (this.below(6)) {
      case 0:
        return copy.subarray(0, at);
      case 1:
        return Buffer.concat([copy.subarray(0, at), Buffer.from([this.below(256)]), copy.subarray(at)]);
      case 2:
        // Twice, as a field may come, or nested in itself.
        return Buffer.concat([copy, copy.subarray(at)]);
      case 3:
        return Buffer.concat([Buffer.from([0x0a, copy.length & 0x7f]), copy]);
      case 4:
        return Buffer.concat([copy.subarray(0, at), Buffer.from("ffffffffffffffffff01", "hex"), copy.subarray(at)]);
      default:
        if (at < copy.length) copy[at] = (copy[at] ?? 0) ^ (1 << this.below(8));
        return copy;
    }
  }
}

/** Answers that it got whatever an operation could have asked for; no operation is run. */
async function answered(client: GrpcClient, request: ReturnType<Mutator["request"]>): Promise<number> {
  const { http, status } = await client.send(request.path, request.body, request.headers);
  expect({ http, isNumber: Number.isInteger(status) }).toEqual({ http: 200, isNumber: true });
  return status ?? -1;
}

test(
  `${MESSAGES} damaged messages are answered (BPFMAN_FUZZ_SEED=${SEED})`,
  async () => {
    const refuse = async (_: string, request: unknown): Promise<never> => {
      // Whatever it is, the worker is told it as JSON.
      JSON.stringify(request);
      throw new BpfmanError("PROGRAM_NOT_FOUND", "asked");
    };
    const bed = await new GrpcBed(bpfmanMethods(refuse)).open();
    const mutator = new Mutator(SEED);
    const seen = new Map<number, number>();
    try {
      let client = bed.client();
      for (let sent = 0; sent < MESSAGES; sent += AT_ONCE) {
        const statuses = await Promise.all(Array.from({ length: AT_ONCE }, () => answered(client, mutator.request())));
        for (const status of statuses) seen.set(status, (seen.get(status) ?? 0) + 1);
        if (sent % 10_000 === 0) {
          client.close();
          client = bed.client();
        }
      }
      // Undecodable, understood, unknown method: the damage is neither too little nor too much. Nothing was unexpected.
      expect([3, 5, 12].filter((status) => (seen.get(status) ?? 0) < MESSAGES / 500)).toEqual([]);
      expect(seen.get(13) ?? 0).toBe(0);
      expect(bed.logged).toEqual([]);
    } finally {
      await bed.close();
    }
  },
  30 * 60_000,
);
