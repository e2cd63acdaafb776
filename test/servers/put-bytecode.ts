import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { buildBpf } from "../../scripts/build-bpf.ts";
import { parseReference } from "../../src/image/reference.ts";
import { openRepository } from "../../src/image/open-repository.ts";
import { type ImageDraft, putImage } from "../objects/image.ts";
import { AUTH, type TestRegistry } from "./registry.ts";

/** The compiled test/fixtures/bpf/life.bpf.c. */
export const LIFE_OBJECT = resolve(import.meta.dir, "../../dist/bpf/fixtures/life.bpf.o");
export const LIFE_LABELS = {
  "io.ebpf.programs": '{"count":"tc","on_openat":"tracepoint"}',
  "io.ebpf.maps": '{"counters_of_life":"array"}',
};

/** Puts an image of that object into a registry; answers its reference. */
export async function putLife(registry: TestRegistry, name: string, draft: ImageDraft = {}): Promise<string> {
  buildBpf();
  const reference = parseReference(`${registry.host}/${name}`);
  const repository = openRepository(reference, {
    signal: new AbortController().signal,
    registryAuth: AUTH,
    caFile: registry.caFile,
    env: {},
  });
  const files = [{ name: "life.bpf.o", bytes: readFileSync(LIFE_OBJECT) }];
  await putImage(repository, reference.tag ?? "latest", { files, labels: LIFE_LABELS, ...draft });
  return `${registry.host}/${name}`;
}
