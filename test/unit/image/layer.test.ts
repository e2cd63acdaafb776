import { describe, expect, test } from "bun:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { LAYER_TAR_BYTES_MAX, OBJECT_BYTES_MAX } from "../../../src/domain/limits.ts";
import { objectIn } from "../../../src/image/layer.ts";
import { failureOfAsync } from "../../expect/failure.ts";
import { bytesOf, DOCKER_LAYER, ELF, OCI_LAYER, type TarEntry, tarOf } from "../../objects/image.ts";

const OBJECT = { name: "program.o", bytes: ELF };
const layer = (bytes: Uint8Array, more: { mediaType?: string; fileName?: string } = {}) =>
  objectIn({ mediaType: `${OCI_LAYER}+gzip`, name: "h.io/a:1", fileName: null, bytes, ...more });
const files = (...entries: TarEntry[]) => gzipSync(tarOf(entries));
const reason = async (bytes: Uint8Array, more = {}) => {
  const error = await failureOfAsync(() => layer(bytes, more));
  expect(error.code).toBe("INVALID_IMAGE");
  return error.message;
};

describe("packing", () => {
  const tar = tarOf([OBJECT]);
  const skippable = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4]);
  const half = tar.length / 2;
  const packed: [how: string, bytes: Uint8Array][] = [
    ["gzip", gzipSync(tar)],
    ["gzip in several members", Buffer.concat([gzipSync(tar.subarray(0, half)), gzipSync(tar.subarray(half))])],
    ["gzip, padded with a zero", Buffer.concat([gzipSync(tar), new Uint8Array(1)])],
    ["gzip, padded with zeros to a whole record", Buffer.concat([gzipSync(tar), new Uint8Array(10_240)])],
    ["zstd", zstdCompressSync(tar)],
    [
      "zstd in several frames",
      Buffer.concat([zstdCompressSync(tar.subarray(0, half)), zstdCompressSync(tar.subarray(half))]),
    ],
    ["zstd with a table of contents", Buffer.concat([skippable, zstdCompressSync(tar), skippable])],
    ["not at all", tar],
  ];
  test.each(packed)("%s", async (_how, bytes) => {
    for (const mediaType of [`${OCI_LAYER}+gzip`, OCI_LAYER, `${OCI_LAYER}+zstd`, DOCKER_LAYER]) {
      expect(await layer(bytes, { mediaType })).toEqual({ name: "program.o", bytes: ELF });
    }
  });

  test("types that are no archives of files", async () => {
    for (const mediaType of ["application/octet-stream", "text/plain", "", `${OCI_LAYER}+gzip+encrypted`]) {
      expect(await reason(gzipSync(tar), { mediaType })).toContain("which is not an archive");
    }
  });

  test("bombs", async () => {
    const bomb = new Uint8Array(LAYER_TAR_BYTES_MAX + 1);
    for (const bytes of [gzipSync(bomb), zstdCompressSync(bomb)]) {
      expect(bytes.length).toBeLessThan(100_000);
      expect(await reason(bytes)).toContain(`more than ${LAYER_TAR_BYTES_MAX} bytes`);
    }
    expect(await reason(Buffer.concat([gzipSync(bomb), new Uint8Array(9)]))).toContain("cannot be unpacked");
  });

  test("streams that are damaged or cut off", async () => {
    for (const bytes of [gzipSync(tar), zstdCompressSync(tar)]) {
      const damaged = Buffer.from(bytes);
      damaged.fill(0xff, 20, 40);
      // zstd has no checksum here, and its reader takes an early end for the end: then it is the archive that is wrong.
      expect(await reason(damaged)).toMatch(/cannot be unpacked|not a tar archive/);
      expect(await reason(bytes.subarray(0, bytes.length / 2))).toMatch(/cannot be unpacked|it is empty/);
    }
    for (const behind of ["rubbish", "rubbish\0", "\0rubbish"]) {
      expect(await reason(Buffer.concat([gzipSync(tar), Buffer.from(behind)]))).toContain("cannot be unpacked");
    }
  });
});

describe("which file", () => {
  const text = { name: "README", bytes: bytesOf("read me") };
  test("the only ELF file at the root; other files do not matter", async () => {
    const found = await layer(files({ name: "dev/", type: "5" }, text, { ...OBJECT, name: "./bpf.o" }));
    expect(found).toEqual({ name: "bpf.o", bytes: ELF });
  });

  test("none", async () => {
    expect(await reason(files(text))).toContain("contains no object file");
    expect(await reason(files())).toContain("contains no object file");
    const error = await failureOfAsync(() => layer(files({ ...OBJECT, name: "usr/lib/a.o" })));
    expect(error.hint).toBe('"usr/lib/a.o" should be at its root, and alone there');
  });

  test("several, unless a label names one", async () => {
    const two = files({ ...OBJECT, name: "a.o" }, { ...OBJECT, name: "b.o" });
    expect(await reason(two)).toContain("several object files: a.o, b.o");
    expect((await layer(two, { fileName: "/b.o" })).name).toBe("b.o");
    expect(await reason(two, { fileName: "c.o" })).toContain('no object file "c.o", which its label names');
    expect(await reason(files(OBJECT, OBJECT), { fileName: "program.o" })).toContain("several object files");
  });

  test("one that is too large", async () => {
    const bytes = new Uint8Array(OBJECT_BYTES_MAX + 1);
    bytes.set(ELF);
    expect(await reason(files({ name: "a.o", bytes }))).toContain(`more than ${OBJECT_BYTES_MAX}`);
  });
});
