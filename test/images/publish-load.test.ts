/** Takes an object through a registry: publishes it, loads it from there, attaches it, and has the kernel run it. */
import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import type { LoadAnswer } from "../../src/domain/answer.ts";
import type { ImageBuildAnswer } from "../../src/domain/image-answer.ts";
import { compileBpf } from "../objects/compile.ts";
import { executable, idOf, mapOf } from "../labs/executable.ts";
import { cable, counters } from "../labs/kernel-lab.ts";
import { startRegistry, type TestRegistry } from "../servers/registry.ts";

const SOURCE = `struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, __u32);
  __type(value, __u64); } packets SEC(".maps");
SEC("xdp") int count_all(struct xdp_md *ctx) { __u32 key = 0; __u64 *seen = bpf_map_lookup_elem(&packets, &key);
  if (seen) __sync_fetch_and_add(seen, 1); return 2; }`;

const bpfman = executable();
const wire = cable();
// Nothing here is signed, which would be said of each image that is pulled.
beforeEach(() => {
  bpfman.env.BPFMAN_LOG = "error";
});
let registry: TestRegistry;
beforeAll(async () => {
  registry = await startRegistry();
});
afterAll(() => registry?.close());

test.each([
  ["one image", ["-b", "little.o"]],
  ["an index", ["--bc-amd64-el", "little.o", "--bc-arm64-el", "little.o", "--bc-s390x-eb", "big.o"]],
])("%s", async (_, words) => {
  writeFileSync(bpfman.path("little.o"), compileBpf(SOURCE, ["-target", "bpfel"]));
  writeFileSync(bpfman.path("big.o"), compileBpf(SOURCE, ["-target", "bpfeb"]));
  const reference = `${registry.host}/counter:v1`;
  const files = words.map((word) => (word.endsWith(".o") ? bpfman.path(word) : word));
  const built = await bpfman.json<ImageBuildAnswer>("image", "build", "-t", reference, ...files);

  const load = [
    "--log-level",
    "error",
    "load",
    "image",
    "-i",
    reference,
    "-p",
    "Always",
    "--programs",
    "xdp:count_all",
  ];
  const { programs } = await bpfman.json<LoadAnswer>(...load);
  expect(programs[0]?.record?.load.image_source).toMatchObject({ digest: built.digest });
  const place = ["-i", wire.interface, "-n", wire.netns, "-p", "50"];
  await bpfman.attach(idOf(programs, "count_all"), "xdp", ...place);
  const before = counters(mapOf(programs, "packets"))[0] ?? 0;
  expect(wire.ping(5)).toBe(5);
  expect(counters(mapOf(programs, "packets"))[0]).toBeGreaterThanOrEqual(before + 5);
});
