/**
 * The mapping between bpfman.v1 and the operations. What the messages say is compared field by field, and no field of the
 * protocol may be without effect, unless it is listed here.
 */
import { describe, expect, test } from "bun:test";
import {
  create,
  type DescMessage,
  fromBinary,
  type Message,
  type MessageInitShape,
  toBinary,
} from "@bufbuild/protobuf";
import type { ProgramAnswer } from "../../../src/domain/answer.ts";
import { BpfmanError } from "../../../src/errors/error.ts";
import { bpfmanMethods } from "../../../src/grpc/bpfman-v1.ts";
import { statusOf } from "../../../src/grpc/errors.ts";
import { Bpfman, BpfmanProgramType, file_bpfman, type LoadRequestSchema } from "../../../src/grpc/generated/bpfman.ts";
import { kernelProgram, programAnswer, programRecord } from "../../fakes/answers.ts";

type Asked = readonly [name: string, request: unknown];

/** The fields of requests that were looked at so far, as `Message.field`. */
const READ = new Set<string>();

/** The same value, whose fields are noted in READ when they are looked at. */
function watched<T>(value: T): T {
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
  return new Proxy(value, {
    get(target, key) {
      const inner: unknown = Reflect.get(target, key);
      const { $typeName: type } = target as { readonly $typeName?: string };
      if (type !== undefined) READ.add(`${type.slice(type.lastIndexOf(".") + 1)}.${String(key)}`);
      // The member of a oneof that is set is read by its case.
      const name = key === "value" ? Reflect.get(target, "case") : undefined;
      if (typeof name === "string") for (const of of OF_ONEOF.get(name) ?? []) READ.add(of);
      return typeof inner === "function" ? inner : watched(inner);
    },
  });
}

/** The fields of oneofs, by their names. */
const OF_ONEOF = Map.groupBy(
  file_bpfman.messages.flatMap(({ name, oneofs }) =>
    oneofs.flatMap(({ fields }) => fields.map((field) => `${name}.${field.localName}`)),
  ),
  (name) => name.slice(name.indexOf(".") + 1),
);

/** Notes the fields that are set in a message, and in those that it holds. */
function noteSet(value: unknown, set: Set<string>): void {
  if (Array.isArray(value)) for (const each of value) noteSet(each, set);
  if (typeof value !== "object" || value === null) return;
  const { $typeName: type = "", ...fields } = value as { readonly $typeName?: string };
  for (const [name, inner] of Object.entries(fields)) {
    const isEmpty = typeof inner === "object" && inner !== null && Object.keys(inner).length === 0;
    const oneof = inner as { readonly case?: string; readonly value?: unknown } | null;
    if (oneof?.case !== undefined) {
      set.add(`${type.slice(type.lastIndexOf(".") + 1)}.${oneof.case}`);
      noteSet(oneof.value, set);
    } else if (inner && !isEmpty) {
      set.add(`${type.slice(type.lastIndexOf(".") + 1)}.${name}`);
      noteSet(inner, set);
    }
  }
}

/** Sends a request through the bytes of the protocol to the method; answers what it asked for and what it answered. */
async function called(
  name: keyof typeof Bpfman.method,
  request: MessageInitShape<DescMessage>,
  answer: unknown = { programs: [], record: { link_id: 9 } },
): Promise<{
  readonly asked: Asked | null;
  readonly response: Message | null;
  readonly status: number;
  readonly message: string;
}> {
  let asked: Asked | null = null;
  const methods = bpfmanMethods((async (operation: string, wanted: unknown) => {
    asked = [operation, wanted];
    if (answer instanceof Error) throw answer;
    return answer;
  }) as never);
  const method = methods.find(({ descriptor }) => descriptor === Bpfman.method[name]);
  if (method === undefined) throw new Error(`no method ${name}`);
  const { input, output } = method.descriptor;
  try {
    const sent = fromBinary(input, toBinary(input, create(input, request)));
    const answered = await method.handle(watched(sent), { signal: new AbortController().signal });
    const response = fromBinary(output, toBinary(output, create(output, answered as MessageInitShape<DescMessage>)));
    return { asked, response, status: 0, message: "" };
  } catch (thrown) {
    return { asked, response: null, ...statusOf(thrown) };
  }
}

test("every method of the service is there", () => {
  const methods = bpfmanMethods((() => {}) as never);
  expect(new Set(methods.map(({ descriptor }) => descriptor.name))).toEqual(
    new Set(Bpfman.methods.map(({ name }) => name)),
  );
});

const UUID = { "bpfman.io/uuid": "u", "bpfman.io/ProgramName": "p" };
const loading = {
  bytecode: { location: { case: "file", value: "/x.o" } },
  info: [{ name: "pass", programType: BpfmanProgramType.XDP }],
} as const;
const asLoading = {
  source: { file: "/x.o" },
  programs: [{ type: "xdp", name: "pass" }],
  globalData: {},
  metadata: {},
  mapOwnerId: null,
};
const image = (more: object) => ({ case: "image", value: { url: "quay.io/a/b:c", ...more } }) as const;

describe("Load", () => {
  const asked = async (changes: MessageInitShape<typeof LoadRequestSchema>) =>
    (await called("load", { ...loading, ...changes })).asked;

  test("of a file", async () => expect(await asked({})).toEqual(["program/load", asLoading]));

  test.each([
    [{ imagePullPolicy: 0 }, { pullPolicy: "Always", registryAuth: null }],
    [{ imagePullPolicy: 1 }, { pullPolicy: "IfNotPresent", registryAuth: null }],
    [
      { imagePullPolicy: 2, username: "", password: "" },
      { pullPolicy: "Never", registryAuth: null },
    ],
    [{ username: "me" }, { pullPolicy: "Always", registryAuth: null }],
    [{ password: "x" }, { pullPolicy: "Always", registryAuth: null }],
    [
      { username: "me", password: "pä:ss" },
      { pullPolicy: "Always", registryAuth: Buffer.from("me:pä:ss").toString("base64") },
    ],
  ])("of an image with %j", async (more, wanted) => {
    const source = { image: { url: "quay.io/a/b:c", ...wanted } };
    expect(await asked({ bytecode: { location: image(more) } })).toEqual(["program/load", { ...asLoading, source }]);
  });

  test.each([
    ["XDP", "xdp"],
    ["TC", "tc"],
    ["TRACEPOINT", "tracepoint"],
    ["KPROBE", "kprobe"],
    ["UPROBE", "uprobe"],
    ["FENTRY", "fentry"],
    ["FEXIT", "fexit"],
    ["TCX", "tcx"],
    ["LSM", "lsm"],
  ] as const)("of a program of type %s", async (name, type) => {
    const info = [{ name: "f", programType: BpfmanProgramType[name] }];
    expect(await asked({ info })).toEqual(["program/load", { ...asLoading, programs: [{ type, name: "f" }] }]);
  });

  test("knows every type of the protocol", () => {
    expect(Object.values(BpfmanProgramType).filter((value) => typeof value === "number")).toHaveLength(9);
  });

  test.each([
    ["fentryLoadInfo", { fnName: "do_unlinkat" }],
    ["fexitLoadInfo", { fnName: "do_unlinkat" }],
    ["lsmLoadInfo", { hookName: "do_unlinkat" }],
  ] as const)("with the function of %s", async (which, value) => {
    const info = [
      { name: "f", programType: BpfmanProgramType.FENTRY, info: { info: { case: which, value } } } as never,
    ];
    const programs = [{ type: "fentry", name: "f", attachFunction: "do_unlinkat" }];
    expect(await asked({ info })).toEqual(["program/load", { ...asLoading, programs }]);
  });

  test("with metadata, globals, a map owner, and a uuid that says nothing", async () => {
    const more = { metadata: UUID, globalData: { LIMIT: new Uint8Array([1, 2]) }, mapOwnerId: 7, uuid: "x" };
    const wanted = { metadata: UUID, globalData: { LIMIT: { base64: "AQI=" } }, mapOwnerId: 7 };
    expect(await asked(more)).toEqual(["program/load", { ...asLoading, ...wanted }]);
  });

  test.each([
    [{ bytecode: undefined }, 'invalid value for "bytecode": an image or a file is needed'],
    [{ bytecode: {} }, 'invalid value for "bytecode": an image or a file is needed'],
    [{ bytecode: { location: image({ imagePullPolicy: 3 }) } }, "0 Always, 1 IfNotPresent, 2 Never"],
    [{ info: [{ name: "f", programType: 99 as BpfmanProgramType }] }, "there is no type 99"],
  ])("is refused: %j", async (changes, why) => {
    const { asked, status, message } = await called("load", { ...loading, ...changes });
    expect({ asked, status }).toEqual({ asked: null, status: 3 });
    expect(message).toStartWith("INVALID_REQUEST: ");
    expect(message).toContain(why);
  });

  test("answers the programs in the order of the request", async () => {
    const second = {
      ...programAnswer,
      record: { ...programRecord, load: { ...programRecord.load, program_name: "b" } },
    };
    const { response } = await called("load", loading, { programs: [programAnswer, second] });
    expect(response).toMatchObject({ programs: [{ info: { name: "count_every_packet" } }, { info: { name: "b" } }] });
  });
});

describe("Attach", () => {
  const NETWORK = { priority: 50, iface: "eth0", position: 3 };
  const AS_NETWORK = { priority: 50, iface: "eth0", netns: null };
  test.each([
    ["xdpAttachInfo", NETWORK, { kind: "xdp", ...AS_NETWORK, proceedOn: [] }],
    [
      "xdpAttachInfo",
      { ...NETWORK, proceedOn: [0, 1, 2, 3, 4, 31, 77], netns: "/host/proc/1/ns/net" },
      {
        ...{ kind: "xdp", ...AS_NETWORK, netns: "/host/proc/1/ns/net" },
        proceedOn: ["aborted", "drop", "pass", "tx", "redirect", "dispatcher_return", "77"],
      },
    ],
    [
      "tcAttachInfo",
      { ...NETWORK, direction: "ingress", proceedOn: [-1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 30], netns: "" },
      {
        ...{ kind: "tc", ...AS_NETWORK, direction: "ingress" },
        proceedOn: [
          ...["unspec", "ok", "reclassify", "shot", "pipe", "stolen", "queued", "repeat", "redirect", "trap"],
          "dispatcher_return",
        ],
      },
    ],
    ["tcxAttachInfo", { ...NETWORK, direction: "egress" }, { kind: "tcx", ...AS_NETWORK, direction: "egress" }],
    ["tracepointAttachInfo", { tracepoint: "a/b" }, { kind: "tracepoint", tracepoint: "a/b" }],
    ["kprobeAttachInfo", { fnName: "f" }, { kind: "kprobe", fnName: "f", offset: 0, containerPid: null }],
    [
      "kprobeAttachInfo",
      { fnName: "f", offset: 8n, containerPid: 5 },
      { kind: "kprobe", fnName: "f", offset: 8, containerPid: 5 },
    ],
    [
      "uprobeAttachInfo",
      { fnName: "", target: "/bin/x", pid: 0, containerPid: 0 },
      { kind: "uprobe", fnName: null, offset: 0, target: "/bin/x", pid: null, containerPid: null },
    ],
    [
      "uprobeAttachInfo",
      { fnName: "f", offset: 16n, target: "libc", pid: 3, containerPid: 4 },
      { kind: "uprobe", fnName: "f", offset: 16, target: "libc", pid: 3, containerPid: 4 },
    ],
    ["fentryAttachInfo", {}, { kind: "fentry" }],
    ["fexitAttachInfo", {}, { kind: "fexit" }],
    ["lsmAttachInfo", {}, { kind: "lsm" }],
  ])("%s", async (which, value, attach) => {
    const info = { case: which, value: { ...value, metadata: UUID } } as never;
    const { asked, response } = await called("attach", { id: 4, attach: { info } });
    expect(asked).toEqual(["link/attach", { programId: 4, attach, metadata: UUID }]);
    expect(response).toMatchObject({ linkId: 9 });
  });

  test.each([[undefined], [{}]])("without a place (%j) is refused", async (attach) => {
    const { asked, status, message } = await called("attach", { id: 4, attach } as never);
    expect({ asked, status }).toEqual({ asked: null, status: 3 });
    expect(message).toBe('INVALID_REQUEST: invalid value for "attach": it says nothing of the kind of place');
  });
});

describe("Get", () => {
  const get = (answer: unknown) => called("get", { id: 6321 }, answer);

  test("of a program that runs", async () => {
    const { asked, response } = await get(programAnswer);
    expect(asked).toEqual(["program/get", { programId: 6321 }]);
    expect(response).toMatchObject({ info: { links: programAnswer.status.links.map(({ record }) => record.link_id) } });
  });

  test("has info, even without links: the agent does not look", async () => {
    const { response } = await get({ ...programAnswer, status: { ...programAnswer.status, links: [] } });
    expect(response).toMatchObject({ info: { name: "count_every_packet", links: [] } });
  });

  const status = programAnswer.status;
  test.each<[string, ProgramAnswer, string]>([
    ["is not ours", { ...programAnswer, record: null }, "bpfman did not load it"],
    ["has gone from the kernel", { ...programAnswer, status: { ...status, kernel: null } }, "gone from the kernel"],
    ["was replaced", { ...programAnswer, status: { ...status, replaces: 1 } }, "program 6321 is in its place"],
  ])("is NOT_FOUND for a program that %s", async (_, answer, why) => {
    const { status: number, message } = await get(answer);
    expect(number).toBe(5);
    expect(message).toStartWith("PROGRAM_NOT_FOUND: program 6321: ");
    expect(message).toContain(why);
  });

  test("passes the error of the operation on", async () => {
    expect(await get(new BpfmanError("PROGRAM_NOT_FOUND", "no"))).toMatchObject({ status: 5 });
  });
});

describe("List", () => {
  test.each([
    [{}, { programType: null, metadataSelector: {}, all: true }],
    [{ bpfmanProgramsOnly: false }, { programType: null, metadataSelector: {}, all: true }],
    [
      { bpfmanProgramsOnly: true, programType: 6 },
      { programType: "xdp", metadataSelector: {}, all: false },
    ],
    [
      { programType: 3, matchMetadata: UUID },
      { programType: "tc", metadataSelector: UUID, all: true },
    ],
    [{ programType: 0 }, { programType: "unspec", metadataSelector: {}, all: true }],
    [{ programType: 999 }, { programType: "unknown(999)", metadataSelector: {}, all: true }],
  ])("%j", async (request, wanted) => {
    expect((await called("list", request)).asked).toEqual(["program/list", wanted]);
  });

  test("answers programs of others without info", async () => {
    const programs = [
      { record: programRecord, links: [3, 4], kernel: kernelProgram },
      { record: null, links: [], kernel: kernelProgram },
    ];
    const { response } = await called("list", {}, { programs });
    expect(response).toMatchObject({
      results: [{ info: { links: [3, 4] }, kernelInfo: { id: 6321, programType: 3 } }, { kernelInfo: { id: 6321 } }],
    });
    expect((response as never as { results: { info?: unknown }[] }).results[1]?.info).toBeUndefined();
  });
});

test.each([
  ["unload", { id: 5 }, ["program/unload", { programId: 5 }]],
  ["detach", { linkId: 5 }, ["link/detach", { linkId: 5 }]],
  [
    "pullBytecode",
    { image: { url: "a/b", imagePullPolicy: 1 } },
    ["image/pull", { url: "a/b", pullPolicy: "IfNotPresent", registryAuth: null }],
  ],
] as const)("%s", async (method, request, asked) => {
  const answered = await called(method, request as never, {});
  expect(answered.asked as unknown).toEqual(asked);
  expect(answered.status).toBe(0);
});

test("PullBytecode without an image is refused", async () => {
  expect(await called("pullBytecode", {})).toMatchObject({ asked: null, status: 3 });
});

describe("no field is forgotten", () => {
  /** Every field of the messages that a schema leads to, as `Message.field`. */
  function fieldsOf(schema: DescMessage, known = new Set<string>()): Set<string> {
    for (const field of schema.fields) {
      const name = `${schema.name}.${field.localName}`;
      if (known.has(name)) continue;
      known.add(name);
      if (field.message !== undefined) fieldsOf(field.message, known);
    }
    return known;
  }

  test("of the requests", () => {
    const all = Bpfman.methods.flatMap(({ input }) => [...fieldsOf(input)]);
    const without = ["LoadRequest.uuid", ...["XDP", "TC", "TCX"].map((hook) => `${hook}AttachInfo.position`)];
    expect(new Set(all).difference(READ)).toEqual(new Set(without));
  });

  test("of the answers", async () => {
    const of = (changes: Partial<(typeof programRecord)["load"]>) => ({
      ...programAnswer,
      record: { ...programRecord, load: { ...programRecord.load, map_owner_id: 7, ...changes } },
    });
    const image_source = { url: "quay.io/a/b:c", digest: "sha256:0", pull_policy: "IfNotPresent" };
    const get = await called("get", { id: 6321 }, of({}));
    const load = await called("load", loading, { programs: [of({ image_source })] });
    const set = new Set<string>();
    for (const { response } of [get, load]) if (response !== null) noteSet(response, set);
    const all = new Set([...fieldsOf(Bpfman.method.get.output), ...fieldsOf(Bpfman.method.load.output)]);
    // Of an image, only where it is: no credentials.
    expect(all.difference(set)).toEqual(new Set(["BytecodeImage.username", "BytecodeImage.password"]));
  });
});
