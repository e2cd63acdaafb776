import { expect, test } from "bun:test";
import { BpfmanError } from "../../../src/errors/error.ts";
import { readObject } from "../../../src/object/object-file.ts";
import { failureOf } from "../../expect/failure.ts";
import { compileBpf } from "../../objects/compile.ts";
import { openParts } from "../../objects/object-parts.ts";
import { unsoundObjects } from "../../objects/unsound.ts";

test.each(unsoundObjects().map(({ what, ...its }) => [what, its] as const))("%s", (_, { bytes, reason }) => {
  let refusal: unknown = null;
  try {
    readObject(bytes);
  } catch (thrown) {
    refusal = thrown;
  }
  expect(refusal).toBeInstanceOf(BpfmanError);
  expect(refusal).toMatchObject({ code: "INVALID_OBJECT", message: expect.stringContaining(reason) });
});

test("tables of relocations that are the same bytes, each of which would be kept", () => {
  const source = `volatile int hits;
    SEC("xdp") int pass(struct xdp_md *ctx) { return hits; }
    SEC("tc") int count(struct __sk_buff *skb) { return hits; }`;
  const object = compileBpf(source);
  const bytes = new Uint8Array(4 * object.length);
  bytes.set(object);
  const parts = openParts(bytes);
  const entries = Math.floor((3 * object.length) / 16);
  for (const name of [".relxdp", ".reltc"]) {
    parts.putWide(parts.header(name) + 24, BigInt(object.length));
    parts.putWide(parts.header(name) + 32, BigInt(entries * 16));
  }
  expect(failureOf(() => readObject(parts.bytes)).message).toContain("tables of relocations overlap");
});
