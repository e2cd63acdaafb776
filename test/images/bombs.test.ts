/** Layers that unpack to more than they should, with the executable; the cost is measured from outside. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { executable } from "../labs/executable.ts";
import { tarEntry } from "../objects/image.ts";
import { putLife } from "../servers/put-bytecode.ts";
import { startRegistry, type TestRegistry } from "../servers/registry.ts";

const bpfman = executable();
let registry: TestRegistry;
beforeAll(async () => {
  registry = await startRegistry();
}, 60_000);
afterAll(() => registry?.close());

/** Far below what the bombs unpack to, with room for the runtime and for buffers that grow. */
const MEMORY_MAX_MIB = 512;

/** 2 GiB of zeros: a member or frame of 16 MiB, many times. */
function zeros(pack: (bytes: Uint8Array) => Uint8Array): Uint8Array {
  const part = pack(new Uint8Array(16 * 2 ** 20));
  return Buffer.concat(Array.from({ length: 128 }, () => part));
}

/** So many thousand empty files, of 512 bytes each, in as many members of gzip. */
function entries(thousands: number): Uint8Array {
  const header = tarEntry({ name: "a" });
  const block = gzipSync(Buffer.concat(Array.from({ length: 1000 }, () => header)));
  return Buffer.concat(Array.from({ length: thousands }, () => block));
}

const LAYERS: [what: string, layer: () => Uint8Array, reason: string][] = [
  ["2 GiB in zstd", () => zeros(zstdCompressSync), "unpacked, it has more than"],
  ["2 GiB in gzip", () => zeros(gzipSync), "unpacked, it has more than"],
  ["a million entries", () => entries(1000), "unpacked, it has more than"],
  ["a hundred thousand entries", () => entries(100), "more than 1024 entries"],
];

test.each(LAYERS)("%s", async (what, layer, reason) => {
  const image = await putLife(registry, `bomb:${what.replaceAll(/\W/g, "")}`, { layer: layer() });
  const child = Bun.spawn(bpfman.command("--log-level", "error", "image", "pull", "-i", image), {
    env: { PATH: process.env.PATH ?? "" },
    stdio: ["ignore", "ignore", "pipe"],
  });
  const error = await child.stderr.text();
  expect(await child.exited).toBe(1);
  expect(error).toContain(reason);
  expect((child.resourceUsage()?.maxRSS ?? Number.POSITIVE_INFINITY) / 2 ** 20).toBeLessThan(MEMORY_MAX_MIB);
});
