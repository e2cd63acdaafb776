import { describe, expect, test } from "bun:test";
import { gunzipSync } from "node:zlib";
import { writeFileSync } from "node:fs";
import { layerOf } from "../../../src/image/pack.ts";
import { temporaryDirectory } from "../../labs/temporary-directory.ts";

const directory = temporaryDirectory();
const bytes = new TextEncoder().encode("an object file, or so");
const file = { name: "x.o", bytes, modifiedAt: 0 };

const sha256 = (content: Uint8Array) => new Bun.CryptoHasher("sha256").update(content).digest("hex");

/** What tar(1) makes of a layer. */
function tar(packed: Uint8Array, ...words: readonly string[]): string {
  writeFileSync(directory.path("layer.tar.gz"), packed);
  const command = ["tar", ...words, "-f", directory.path("layer.tar.gz")];
  const { exitCode, stdout, stderr } = Bun.spawnSync(command, { env: { PATH: process.env.PATH ?? "", TZ: "UTC" } });
  expect([exitCode, stderr.toString()]).toEqual([0, ""]);
  return stdout.toString();
}

test("tar lists one file of root's with the time it was given", () => {
  const { packed } = layerOf({ ...file, modifiedAt: 1_700_000_000 });
  expect(tar(packed, "-tvz", "--full-time", "--numeric-owner")).toBe(
    "-rw-r--r-- 0/0              21 2023-11-14 22:13:20 x.o\n",
  );
  expect(tar(packed, "-xzO")).toBe("an object file, or so");
});

test("the packed layer is the tar and nothing else, without time and name in its header", () => {
  const { tar, packed } = layerOf(file);
  expect(gunzipSync(packed).equals(tar)).toBe(true);
  expect([...packed.subarray(0, 8)]).toEqual([0x1f, 0x8b, 8, 0, 0, 0, 0, 0]);
  expect(tar.length).toBe(512 * 4);
});

test.each([0, 1, 511, 512, 513, 1_000_000])("a file of %d bytes", (length) => {
  const content = new Uint8Array(length).map((_, index) => 97 + (index % 26));
  expect(tar(layerOf({ ...file, bytes: content }).packed, "-xzO")).toBe(new TextDecoder().decode(content));
});

describe("names", () => {
  test.each(["a", "zähler mit leerzeichen.o", "x".repeat(100), "y".repeat(101), `${"ü".repeat(125)}.o`])(
    "%s",
    (name) => {
      expect(tar(layerOf({ ...file, name }).packed, "-tz", "--quoting-style=literal")).toBe(`${name}\n`);
      expect(tar(layerOf({ ...file, name }).packed, "-xzO")).toBe("an object file, or so");
    },
  );
});

/** These change only when the digests of all published images change with them. */
test("the bytes are those that every earlier build gave", () => {
  const content = new Uint8Array(100_000).map((_, index) => (index * index) >> 7);
  const { tar, packed } = layerOf({ name: "counter.o", bytes: content, modifiedAt: 1 });
  expect([sha256(tar), sha256(packed)]).toMatchInlineSnapshot(`
    [
      "901a18e29d6b028b52b5b54c93ff559d0cdd2d33e25de1162483ac314d7c5317",
      "c41af7d3eeb19343967b5f42d4efc9a19418341ad3dff342134a2a45d9bcd105",
    ]
  `);
});
