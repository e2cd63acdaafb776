import { describe, expect, test } from "bun:test";
import { IMAGE_ENTRIES_MAX, NAME_CHARS_MAX } from "../../../src/domain/limits.ts";
import { type Descriptor, digestOf } from "../../../src/image/repository.ts";
import { readLabels } from "../../../src/image/read-labels.ts";
import {
  DOCKER_LIST,
  DOCKER_MANIFEST,
  mediaTypeOf,
  OCI_INDEX,
  OCI_MANIFEST,
  readManifest,
} from "../../../src/image/manifest.ts";
import { selectEntry } from "../../../src/image/platform.ts";
import { failureOf } from "../../expect/failure.ts";
import { bytesOf, jsonBytes } from "../../objects/image.ts";

const DIGEST = digestOf(bytesOf("x"));
const ENTRY = { mediaType: OCI_MANIFEST, digest: DIGEST, size: 1 };
const read = (mediaType: string, fields: unknown) =>
  readManifest({ bytes: jsonBytes(fields), mediaType, digest: DIGEST }, "h.io/a:1");
const refused = (run: () => unknown) => {
  const error = failureOf(run);
  expect(error.code).toBe("INVALID_IMAGE");
  return error.message;
};

describe("what a manifest is", () => {
  const cases: [fields: object, type: string][] = [
    [{ mediaType: DOCKER_MANIFEST, layers: [], config: {} }, DOCKER_MANIFEST],
    [{ mediaType: DOCKER_LIST, manifests: [] }, DOCKER_LIST],
    [{ layers: [], config: {} }, OCI_MANIFEST],
    [{ manifests: [] }, OCI_INDEX],
    [{ mediaType: 5, manifests: [] }, OCI_INDEX],
  ];
  test.each(cases)("%j", (fields, type) => expect(mediaTypeOf(jsonBytes(fields), "a")).toBe(type));

  test("one that is two things at once is neither", () => {
    for (const more of [{ layers: [] }, { config: {} }]) {
      expect(refused(() => mediaTypeOf(jsonBytes({ manifests: [], ...more }), "a"))).toContain("at once");
    }
  });

  test.each(["", "{", "[]", "5", "null", '"x"', "\xff", "[".repeat(1_000_000)])("%.20s is none", (text) => {
    expect(refused(() => mediaTypeOf(bytesOf(text), "a"))).toContain("JSON");
  });

  test("other types are not read", () => {
    const schema1 = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    expect(refused(() => read(schema1, { fsLayers: [] }))).toContain(schema1);
  });
});

describe("what it holds", () => {
  test("an image", () => {
    const found = read(OCI_MANIFEST, { config: ENTRY, layers: [ENTRY, ENTRY] });
    expect(found).toMatchObject({ kind: "image", config: ENTRY, layers: [ENTRY, ENTRY] });
  });
  test("an index", () => {
    const platform = { os: "linux", architecture: "arm", variant: "v7" };
    expect(read(DOCKER_LIST, { manifests: [{ ...ENTRY, platform }] })).toMatchObject({
      kind: "index",
      entries: [{ ...ENTRY, platform }],
    });
  });
  const wrong: unknown[] = [
    {},
    { config: ENTRY },
    { layers: [ENTRY] },
    { config: ENTRY, layers: {} },
    { config: ENTRY, layers: [null] },
    { config: ENTRY, layers: [{ ...ENTRY, size: -1 }] },
    { config: ENTRY, layers: [{ ...ENTRY, size: 1.5 }] },
    { config: ENTRY, layers: [{ ...ENTRY, size: "1" }] },
    { config: ENTRY, layers: [{ ...ENTRY, size: 1e300 }] },
    { config: ENTRY, layers: [{ ...ENTRY, digest: "md5:12" }] },
    { config: ENTRY, layers: [{ ...ENTRY, digest: "sha256:../../../etc/passwd" }] },
    { config: ENTRY, layers: [{ ...ENTRY, mediaType: null }] },
    { config: ENTRY, layers: Array.from({ length: IMAGE_ENTRIES_MAX + 1 }, () => ENTRY) },
  ];
  test.each(wrong)("%#", (fields) => void refused(() => read(OCI_MANIFEST, fields)));
});

describe("the entry for a machine", () => {
  const entry = (os: string, architecture: string, more: Partial<Descriptor> = {}): Descriptor => ({
    ...ENTRY,
    digest: digestOf(bytesOf(`${os}/${architecture}/${JSON.stringify(more)}`)),
    platform: { os, architecture },
    ...more,
  });
  const select = (entries: readonly Descriptor[], architecture = "amd64") =>
    selectEntry(entries, { architecture, name: "h.io/a:1" });

  test("is for linux and its architecture", () => {
    const wanted = entry("linux", "amd64");
    expect(select([entry("windows", "amd64"), entry("linux", "arm64"), wanted, entry("linux", "amd64")])).toBe(wanted);
  });
  test("is no attestation", () => {
    const annotations = { "vnd.docker.reference.type": "attestation-manifest" };
    const wanted = entry("linux", "amd64");
    expect(select([entry("linux", "amd64", { annotations }), entry("unknown", "unknown"), wanted])).toBe(wanted);
  });
  test("is missing: the error says what there is", () => {
    const arm = entry("linux", "arm", { platform: { os: "linux", architecture: "arm", variant: "v7" } });
    const error = failureOf(() => select([arm, entry("windows", "amd64"), entry("unknown", "unknown"), arm]));
    expect(error.code).toBe("IMAGE_PLATFORM_MISSING");
    expect(error.message).toBe("pull h.io/a:1: it has nothing for linux/amd64");
    expect(error.hint).toBe("it has linux/arm/v7, windows/amd64");
    expect(error.details.platforms).toEqual(["linux/arm/v7", "windows/amd64", "linux/arm/v7"]);
    expect(failureOf(() => select([])).hint).toBe("the index is empty");
    expect(failureOf(() => select([ENTRY])).hint).toBe("it has an entry without a platform");
  });
});

describe("labels", () => {
  const labels = (Labels: unknown) => readLabels(jsonBytes({ config: { Labels } }), "h.io/a:1");

  test("those of today", () => {
    expect(labels({ "io.ebpf.programs": '{"b":"tc","a":"xdp"}', "io.ebpf.maps": "{}", other: "x" })).toEqual({
      programs: { b: "tc", a: "xdp" },
      maps: {},
      fileName: null,
    });
  });
  test("those of older images", () => {
    const older = {
      "io.ebpf.program_name": "counter",
      "io.ebpf.bpf_function_name": "xdp_counter",
      "io.ebpf.program_type": "xdp",
      "io.ebpf.filename": "counter.o",
    };
    expect(labels(older)).toEqual({ programs: { xdp_counter: "xdp" }, maps: null, fileName: "counter.o" });
    const { "io.ebpf.bpf_function_name": _, ...oldest } = older;
    expect(labels(oldest).programs).toEqual({ counter: "xdp" });
    expect(labels({ ...older, "io.ebpf.programs": '{"a":"tc"}' }).programs).toEqual({ a: "tc" });
  });
  test("half of them: the error says which is missing", () => {
    expect(refused(() => labels({ "io.ebpf.program_type": "xdp" }))).toContain(
      '"io.ebpf.bpf_function_name" is missing',
    );
    expect(refused(() => labels({ "io.ebpf.program_name": "x" }))).toContain('"io.ebpf.program_type" is missing');
  });
  test("none", () => {
    for (const none of [{}, null, undefined, 5, [], { "io.ebpf.programs": 5 }]) {
      expect(labels(none)).toEqual({ programs: null, maps: null, fileName: null });
    }
    expect(readLabels(jsonBytes({}), "a").programs).toBeNull();
  });
  const wrong = [
    "{",
    "[]",
    '{"a":1}',
    '{"a":null}',
    '{"a\\u001b":"x"}',
    '{"a":"\\n"}',
    `{"${"a".repeat(NAME_CHARS_MAX + 1)}":"x"}`,
  ];
  test.each(wrong)("%.30s", (text) => {
    expect(refused(() => labels({ "io.ebpf.programs": text }))).toContain('label "io.ebpf.programs" of h.io/a:1');
  });
  test("a name that objects have is a name like any other", () => {
    const found = labels({ "io.ebpf.programs": '{"__proto__":"xdp","constructor":"tc"}' }).programs;
    expect(Object.entries(found ?? {})).toEqual([
      ["__proto__", "xdp"],
      ["constructor", "tc"],
    ]);
  });
});
