/** What the kubelet says, as requests; and failures by the numbers that the interface prescribes. */
import { expect, test } from "bun:test";
import { create, type DescMethodUnary, type MessageInitShape } from "@bufbuild/protobuf";
import { BpfmanError } from "../../../src/errors/error.ts";
import type { Run } from "../../../src/grpc/bpfman-v1.ts";
import { csiMethods } from "../../../src/grpc/csi.ts";
import { STATUS, statusOf } from "../../../src/grpc/errors.ts";
import { Identity, Node, type NodePublishVolumeRequestSchema } from "../../../src/grpc/generated/csi.ts";

const CALL = { signal: new AbortController().signal };
let asked: unknown[] = [];
let outcome: () => unknown = () => ({});

async function call<Method extends DescMethodUnary>(
  method: Method,
  request: MessageInitShape<Method["input"]>,
): Promise<unknown> {
  asked = [];
  const run = async (name: string, given: unknown) => {
    asked.push([name, given]);
    return outcome();
  };
  const found = csiMethods(run as unknown as Run, "node-1").find(({ descriptor }) => descriptor === method);
  return found?.handle(create(method.input, request), CALL);
}

const ATTRIBUTES = { "csi.bpfman.io/program": "counter", "csi.bpfman.io/maps": "a, b,,c" };
const PUBLISH: MessageInitShape<typeof NodePublishVolumeRequestSchema> = {
  ...{ volumeId: "csi-1", targetPath: "/pods/1", readonly: true },
  volumeCapability: { accessType: { case: "mount", value: { volumeMountGroup: "2000" } } },
  volumeContext: { ...ATTRIBUTES, "csi.storage.k8s.io/ephemeral": "true" },
};
const REQUEST = {
  ...{ volumeId: "csi-1", targetPath: "/pods/1", program: "counter", maps: ["a", "b", "c"] },
  ...{ readOnly: true, group: 2000 },
};

test("a node says what it is and can", async () => {
  outcome = () => ({ version: "1.2.3" });
  expect(await call(Identity.method.getPluginInfo, {})).toEqual({ name: "csi.bpfman.io", vendorVersion: "1.2.3" });
  expect(await call(Identity.method.getPluginCapabilities, {})).toEqual({});
  expect(await call(Identity.method.probe, {})).toEqual({});
  expect(await call(Node.method.nodeGetInfo, {})).toEqual({ nodeId: "node-1" });
  // VOLUME_MOUNT_GROUP
  expect(await call(Node.method.nodeGetCapabilities, {})).toEqual({
    capabilities: [{ type: { case: "rpc", value: { type: 6 } } }],
  });
});

test("volumes are published and unpublished as asked", async () => {
  outcome = () => ({});
  expect(await call(Node.method.nodePublishVolume, PUBLISH)).toEqual({});
  expect(asked).toEqual([["volume/publish", REQUEST]]);
  const volumeCapability = { accessType: { case: "mount", value: {} } } as const;
  await call(Node.method.nodePublishVolume, { ...PUBLISH, readonly: false, volumeCapability });
  expect(asked).toEqual([["volume/publish", { ...REQUEST, readOnly: false, group: null }]]);
  await call(Node.method.nodeUnpublishVolume, { volumeId: "csi-1", targetPath: "/pods/1" });
  expect(asked).toEqual([["volume/unpublish", { volumeId: "csi-1", targetPath: "/pods/1" }]]);
});

const status = (change: object): Promise<number> =>
  call(Node.method.nodePublishVolume, { ...PUBLISH, ...change }).then(
    () => STATUS.OK,
    (cause) => statusOf(cause).status,
  );

test.each([
  ["no capability", { volumeCapability: undefined }],
  ["a capability of no kind", { volumeCapability: {} }],
  ["a block device", { volumeCapability: { accessType: { case: "block", value: {} } } }],
  ["a group by name", { volumeCapability: { accessType: { case: "mount", value: { volumeMountGroup: "wheel" } } } }],
  ["no program", { volumeContext: { "csi.bpfman.io/maps": "a" } }],
  ["no maps", { volumeContext: { ...ATTRIBUTES, "csi.bpfman.io/maps": " , " } }],
])("%s is INVALID_ARGUMENT, and nothing is done", async (_, change) => {
  expect([await status(change), asked]).toEqual([STATUS.INVALID_ARGUMENT, []]);
});

test.each([
  ["VOLUME_EXISTS", STATUS.ALREADY_EXISTS],
  ["PROGRAM_NOT_FOUND", STATUS.NOT_FOUND],
  ["MAP_NOT_FOUND", STATUS.NOT_FOUND],
  ["INVALID_VOLUME", STATUS.INVALID_ARGUMENT],
  ["INVALID_REQUEST", STATUS.INVALID_ARGUMENT],
  ["PERMISSION_DENIED", STATUS.PERMISSION_DENIED],
] as const)("%s is number %i", async (code, number) => {
  outcome = () => {
    throw new BpfmanError(code, "why");
  };
  expect(await status({})).toBe(number);
});
