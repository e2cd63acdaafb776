/** `image/verify`: what it asks for, and what becomes of the answer. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import type { ImagesPort, VerifiedImage, VerifyRequest } from "../../../src/platform/images.ts";
import { createInvoke, type Invoke } from "../../../src/service/invoke.ts";
import { makeTestBed, type TestBed } from "../../fakes/fake-host.ts";
import { failureOfAsync } from "../../expect/failure.ts";

const DIGEST = `sha256:${"a".repeat(64)}`;
const URL = "h.io/counter:1";

let bed: TestBed;
let invoke: Invoke;
let asked: VerifyRequest[];
let verified: Omit<VerifiedImage, "reference" | "digest">;
const unused = () => Promise.reject(new Error("it was not to be asked for"));
const images: ImagesPort = {
  stored: () => expect.unreachable(),
  prune: () => expect.unreachable(),
  pull: unused,
  fetch: unused,
  inspect: unused,
  async verify(request) {
    asked.push(request);
    return { reference: URL, digest: DIGEST, ...verified };
  },
};
beforeEach(() => {
  bed = makeTestBed();
  asked = [];
  verified = { unsigned: true, signatures: [], trustRoot: null };
  invoke = createInvoke({ ...bed.runtime, capabilities: () => [], openLock: unused, openImages: async () => images });
});
afterEach(() => bed.close());

const RULES = { registryAuth: null, allowUnsigned: false, trustedIdentities: [], trustedKeys: [], trustedRoot: null };

test("wants a signature unless told otherwise, and takes neither root nor lock", async () => {
  const answer = await invoke("image/verify", { url: URL });
  expect(answer).toEqual({ reference: URL, digest: DIGEST, signed: false, trust_root: null, signatures: [] });
  expect(asked).toEqual([{ reference: URL, ...RULES }]);
});

test("says of each signature who made it, when, and why it does not count", async () => {
  const signedAt = new Date("2026-03-04T05:06:07.000Z");
  const found = { layout: "tag", manifest: DIGEST } as const;
  verified = {
    unsigned: false,
    trustRoot: "current",
    signatures: [
      {
        ...found,
        verdict: "trusted",
        reason: null,
        signer: { kind: "identity", identity: "a", issuer: "b" },
        signedAt,
      },
      {
        ...found,
        verdict: "trusted",
        reason: null,
        signer: { kind: "key", file: "/k", fingerprint: "f" },
        signedAt: null,
      },
      { ...found, verdict: "invalid", reason: "why", signer: null, signedAt: null },
    ],
  };
  const { signatures, ...rest } = await invoke("image/verify", { url: URL });
  expect(rest).toEqual({ reference: URL, digest: DIGEST, signed: true, trust_root: "current" });
  const nobody = { identity: null, issuer: null, key: null, signed_at: null };
  expect(signatures).toEqual([
    {
      ...{ ...found, verdict: "trusted", reason: null, ...nobody },
      ...{ identity: "a", issuer: "b", signed_at: "2026-03-04T05:06:07.000Z" },
    },
    { ...found, verdict: "trusted", reason: null, ...nobody, key: { file: "/k", fingerprint: "f" } },
    { ...found, verdict: "invalid", reason: "why", ...nobody },
  ]);
});

test("hands on whose signatures are to count, and rejects what is not whole", async () => {
  const trustedIdentities = [{ identity: { exact: "a" }, issuer: { regexp: "b" } }];
  const rules = { allowUnsigned: true, trustedIdentities, trustedKeys: ["k.pub"], trustedRoot: "root.json" };
  await invoke("image/verify", { url: URL, ...rules });
  expect(asked).toEqual([{ reference: URL, registryAuth: null, ...rules }]);
  for (const wrong of [
    { trustedIdentities: [{ identity: { exact: "a" } }] },
    { trustedIdentities: [{ identity: { exact: "a", regexp: "b" }, issuer: { exact: "c" } }] },
    { trustedIdentities: [{ identity: { exact: "" }, issuer: { exact: "c" } }] },
    { trustedKeys: [""] },
    { trustedRoot: 1 },
  ]) {
    expect((await failureOfAsync(() => invoke("image/verify", { url: URL, ...wrong }))).code).toBe("INVALID_REQUEST");
  }
});
