/**
 * Sends frames of all sorts, complete and damaged, to the executable: it must answer each complete request, exit cleanly
 * when its input ends, and print nothing on stderr.
 * Prints its seed; BPFMAN_FUZZ_SEED=N repeats a run, BPFMAN_FUZZ_ROUNDS=N runs more rounds.
 */
import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { FrameDecoder } from "../../rpc/frame-decoder.ts";
import { randomFrom } from "../fakes/random.ts";
import { temporaryDirectory } from "../labs/temporary-directory.ts";

const SEED = Number(process.env.BPFMAN_FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 32));
const ROUNDS = Number(process.env.BPFMAN_FUZZ_ROUNDS ?? 40);
const MESSAGES_MAX = 60;
const BPFMAN = resolve(import.meta.dir, "../../dist/bpfman");
const ENV = { PATH: process.env.PATH ?? "" };

if (!existsSync(BPFMAN)) throw new Error(`nothing built yet: run "bun run build"`);
const directory = temporaryDirectory();

const METHODS = ["version", "initialize", "program/get", "link/list", "rpc.discover", "nope", "__proto__", "", "$/x"];
const VALUES = [
  ...["null", "{}", "[]", "1", '"x"', "true", "1e999", "-0", '"\\ud800"', '"\\u0000"', '{"__proto__":1}', "[[[[]]]]"],
  ...['{"protocolVersion":1}', '{"features":false}', '{"programId":1}', '{"programId":"x"}', '{"workDoneToken":"t"}'],
];
const IDS = ["1", "2", '"1"', "null", "1.5", "{}", "true", "99999999999999999999", '""'];

class Fuzzer {
  readonly #random: () => number;
  #lastId = 0;
  /** Ids of requests that went out whole and are nobody else's. */
  readonly asked: string[] = [];

  constructor(seed: number) {
    this.#random = randomFrom(seed);
  }

  chance(share: number): boolean {
    return this.#random() < share;
  }
  below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }
  pick(list: readonly string[]): string {
    return list[this.below(list.length)] ?? "";
  }

  /** Text that is a message, nearly one, or none. */
  message(): string {
    const members = [
      this.chance(0.9) ? '"jsonrpc":"2.0"' : `"jsonrpc":${this.pick(VALUES)}`,
      this.chance(0.8) ? `"id":${this.pick(IDS)}` : "",
      this.chance(0.9) ? `"method":"${this.pick(METHODS)}"` : `"result":${this.pick(VALUES)}`,
      this.chance(0.6) ? `"params":${this.pick(VALUES)}` : "",
    ];
    const text = `{${members.filter((member) => member !== "").join(",")}}`;
    if (this.chance(0.1)) return `[${text},${this.message()},${this.pick(VALUES)}]`;
    return this.chance(0.15) ? text.slice(0, this.below(text.length)) : text;
  }

  /** A request that must be answered. */
  probe(): string {
    const id = `probe-${++this.#lastId}`;
    this.asked.push(id);
    return JSON.stringify({ jsonrpc: "2.0", id, method: "version", params: { features: false } });
  }

  frame(body: string): Buffer {
    const bytes = Buffer.from(body);
    const eol = this.chance(0.1) ? "\n" : "\r\n";
    const other = this.chance(0.1) ? `X-Other: ${"y".repeat(this.below(100))}${eol}` : "";
    return Buffer.concat([Buffer.from(`${other}Content-Length: ${bytes.length}${eol}${eol}`), bytes]);
  }

  /** Breaks the framing somewhere. */
  damaged(frame: Buffer): Buffer {
    const at = this.below(Math.min(frame.length, 25));
    const damaged = Buffer.from(frame);
    damaged[at] = this.below(256);
    return this.chance(0.5) ? damaged : frame.subarray(0, at);
  }
}

async function converse(input: readonly Buffer[]) {
  const child = Bun.spawn([BPFMAN, "--runtime-dir", join(directory.path(), "run"), "rpc"], {
    env: ENV,
    stdio: ["pipe", "pipe", "pipe"],
  });
  const [out, error] = [child.stdout.bytes(), child.stderr.text()];
  for (const piece of input) {
    child.stdin.write(piece);
    await child.stdin.flush();
  }
  await child.stdin.end();
  const decoder = new FrameDecoder();
  decoder.push(await out);
  const replies: { readonly id?: unknown }[] = [];
  for (let frame = decoder.next(); frame !== null; frame = decoder.next()) {
    if (frame.kind === "broken") throw new Error(frame.reason);
    replies.push(...[JSON.parse(Buffer.from(frame.bytes).toString())].flat());
  }
  await child.exited;
  return { code: child.exitCode, replies, error: await error };
}

/** Cut anywhere, so that frames come split and merged. */
function* pieces(fuzzer: Fuzzer, bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; ) {
    const length = 1 + fuzzer.below(fuzzer.chance(0.2) ? 5 : 4000);
    yield bytes.subarray(at, at + length);
    at += length;
  }
}

test(
  `${ROUNDS} conversations, seed ${SEED}`,
  async () => {
    console.log(`rpc frames: BPFMAN_FUZZ_SEED=${SEED}`);
    for (let round = 0; round < ROUNDS; round++) {
      const fuzzer = new Fuzzer(SEED + round);
      const initialize = '{"jsonrpc":"2.0","id":"init","method":"initialize","params":{"protocolVersion":1}}';
      const frames = [fuzzer.frame(initialize)];
      for (let count = fuzzer.below(MESSAGES_MAX); count > 0; count--) {
        frames.push(fuzzer.frame(fuzzer.chance(0.3) ? fuzzer.probe() : fuzzer.message()));
      }
      const expected = [...fuzzer.asked];
      const breaks = fuzzer.chance(0.4);
      if (breaks) frames.push(fuzzer.damaged(fuzzer.frame(fuzzer.message())), fuzzer.frame(fuzzer.probe()));
      const input = [...pieces(fuzzer, Buffer.concat(frames))];
      const { code, replies, error } = await converse(input);
      const ids = replies.map((reply) => reply.id);
      const missing = ["init", ...expected].filter((id) => ids.filter((each) => each === id).length !== 1);
      const seed = SEED + round;
      expect({ seed, missing, error }).toEqual({ seed, missing: [], error: "" });
      expect({ seed, code }).toEqual({ seed, code: breaks ? expect.any(Number) : 0 });
      expect([0, 1]).toContain(code ?? -1);
    }
  },
  5 * 60_000,
);
