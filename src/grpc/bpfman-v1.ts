/** bpfman.v1, as bpfman-operator's agent speaks it: translates its messages to requests, and answers to its messages. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { KernelProgramAnswer, ProgramRecordAnswer } from "../domain/answer.ts";
import { actionName, TC_ACTIONS, XDP_ACTIONS } from "../domain/actions.ts";
import { programTypeNumber, programTypeText } from "../domain/kernel-words.ts";
import type { ProgramType } from "../domain/kinds.ts";
import { PULL_POLICIES, type PullPolicy } from "../domain/program.ts";
import { BpfmanError } from "../errors/error.ts";
import type { Answers, OperationName } from "../service/operations.ts";
import { invalid } from "./errors.ts";
import {
  type AttachInfo,
  Bpfman,
  BpfmanProgramType,
  type BytecodeImage,
  type BytecodeLocation,
  type KernelProgramInfoSchema,
  type LoadInfo,
  type LoadRequest,
  type ProgramInfoSchema,
} from "./generated/bpfman.ts";
import { type Call, type UnaryMethod, unary } from "./server.ts";

/** Runs an operation: a change in its turn, in another process. */
export type Run = <Name extends OperationName>(name: Name, request: unknown, call: Call) => Promise<Answers[Name]>;

/** The methods of the service. */
export function bpfmanMethods(run: Run): readonly UnaryMethod[] {
  return [
    unary(Bpfman.method.load, async (request, call) => {
      const { programs } = await run("program/load", loadRequest(request), call);
      return {
        programs: programs.map(({ record, status }) => ({
          info: record === null ? undefined : programInfo(record, [], status.map_used_by),
          kernelInfo: kernelInfo(status.kernel),
        })),
      };
    }),
    unary(Bpfman.method.unload, async ({ id }, call) => {
      await run("program/unload", { programId: id }, call);
      return {};
    }),
    unary(Bpfman.method.attach, async ({ id, attach }, call) => {
      const { target, metadata } = attachTarget(attach);
      const { record } = await run("link/attach", { programId: id, attach: target, metadata }, call);
      return { linkId: record.link_id };
    }),
    unary(Bpfman.method.detach, async ({ linkId }, call) => {
      await run("link/detach", { linkId }, call);
      return {};
    }),
    unary(Bpfman.method.get, async ({ id }, call) => {
      const { record, status } = await run("program/get", { programId: id }, call);
      // Whatever is no error means to the agent that its program runs.
      if (record === null) throw notFound(id, "bpfman did not load it");
      if (status.replaces !== undefined) throw notFound(id, `program ${record.program_id} is in its place`);
      if (status.kernel === null) throw notFound(id, "it has gone from the kernel");
      const links = status.links.map((link) => link.record.link_id);
      return { info: programInfo(record, links, status.map_used_by), kernelInfo: kernelInfo(status.kernel) };
    }),
    unary(Bpfman.method.list, async ({ programType, bpfmanProgramsOnly = false, matchMetadata }, call) => {
      const { programs } = await run(
        "program/list",
        {
          programType: programType === undefined ? null : programTypeText(programType),
          metadataSelector: matchMetadata,
          all: !bpfmanProgramsOnly,
        },
        call,
      );
      return {
        results: programs.map(({ record, links, kernel }) => ({
          info: record === null ? undefined : programInfo(record, links, []),
          kernelInfo: kernelInfo(kernel),
        })),
      };
    }),
    unary(Bpfman.method.pullBytecode, async ({ image }, call) => {
      await run("image/pull", imageRequest(image), call);
      return {};
    }),
  ];
}

const notFound = (id: number, why: string): BpfmanError =>
  new BpfmanError("PROGRAM_NOT_FOUND", `program ${id}: ${why}`, { details: { program_id: id } });

const TYPES: Readonly<Record<BpfmanProgramType, ProgramType>> = {
  [BpfmanProgramType.XDP]: "xdp",
  [BpfmanProgramType.TC]: "tc",
  [BpfmanProgramType.TRACEPOINT]: "tracepoint",
  [BpfmanProgramType.KPROBE]: "kprobe",
  [BpfmanProgramType.UPROBE]: "uprobe",
  [BpfmanProgramType.FENTRY]: "fentry",
  [BpfmanProgramType.FEXIT]: "fexit",
  [BpfmanProgramType.TCX]: "tcx",
  [BpfmanProgramType.LSM]: "lsm",
};

/** Its `uuid` has no meaning; what the agent calls by that name is in the metadata. */
function loadRequest({ bytecode, metadata, globalData, mapOwnerId, info }: LoadRequest): unknown {
  return {
    source: sourceOf(bytecode),
    programs: info.map(selector),
    globalData: Object.fromEntries(
      Object.entries(globalData).map(([name, bytes]) => [name, { base64: bytes.toBase64() }]),
    ),
    metadata,
    mapOwnerId: mapOwnerId ?? null,
  };
}

function selector({ name, programType, info }: LoadInfo): unknown {
  const type = TYPES[programType];
  // What is no member of the enum arrives as a number.
  if (type === undefined) throw invalid("info.program_type", `there is no type ${programType}`);
  const specific = info?.info;
  if (specific?.case === undefined) return { type, name };
  const { value } = specific;
  return { type, name, attachFunction: "hookName" in value ? value.hookName : value.fnName };
}

function sourceOf(bytecode: BytecodeLocation | undefined): unknown {
  const location = bytecode?.location;
  if (location?.case === "image") return { image: imageRequest(location.value) };
  if (location?.case === "file") return { file: location.value };
  throw invalid("bytecode", "an image or a file is needed");
}

function imageRequest(image: BytecodeImage | undefined): unknown {
  if (image === undefined) throw invalid("image", "an image is needed");
  const { url, imagePullPolicy, username = "", password = "" } = image;
  const pullPolicy = PULL_POLICIES[imagePullPolicy];
  if (pullPolicy === undefined) {
    const known = PULL_POLICIES.map((policy, number) => `${number} ${policy}`).join(", ");
    throw invalid("image_pull_policy", `${imagePullPolicy} is none; they are ${known}`);
  }
  const isAnonymous = username === "" || password === "";
  const registryAuth = isAnonymous ? null : Buffer.from(`${username}:${password}`).toString("base64");
  return { url, pullPolicy, registryAuth };
}

/** An absent number is 0, and an absent text empty, for clients that always send them. */
const orNull = <T extends string | number>(value: T | undefined): T | null => value || null;

function attachTarget(attach: AttachInfo | undefined): {
  readonly target: unknown;
  readonly metadata: Readonly<Record<string, string>>;
} {
  const info = attach?.info;
  switch (info?.case) {
    case "xdpAttachInfo": {
      const { priority, iface, proceedOn, netns, metadata } = info.value;
      const names = proceedOn.map((number) => actionName(XDP_ACTIONS, number));
      return { target: { kind: "xdp", priority, iface, proceedOn: names, netns: orNull(netns) }, metadata };
    }
    case "tcAttachInfo": {
      const { priority, iface, direction, proceedOn, netns, metadata } = info.value;
      const names = proceedOn.map((number) => actionName(TC_ACTIONS, number));
      return { target: { kind: "tc", priority, iface, direction, proceedOn: names, netns: orNull(netns) }, metadata };
    }
    case "tcxAttachInfo": {
      const { priority, iface, direction, netns, metadata } = info.value;
      return { target: { kind: "tcx", priority, iface, direction, netns: orNull(netns) }, metadata };
    }
    case "tracepointAttachInfo": {
      const { tracepoint, metadata } = info.value;
      return { target: { kind: "tracepoint", tracepoint }, metadata };
    }
    case "kprobeAttachInfo": {
      const { fnName, offset, containerPid, metadata } = info.value;
      const target = { kind: "kprobe", fnName, offset: Number(offset), containerPid: orNull(containerPid) };
      return { target, metadata };
    }
    case "uprobeAttachInfo": {
      const { fnName, offset, target, pid, containerPid, metadata } = info.value;
      const place = { fnName: orNull(fnName), offset: Number(offset), target };
      const processes = { pid: orNull(pid), containerPid: orNull(containerPid) };
      return { target: { kind: "uprobe", ...place, ...processes }, metadata };
    }
    case "fentryAttachInfo":
      return { target: { kind: "fentry" }, metadata: info.value.metadata };
    case "fexitAttachInfo":
      return { target: { kind: "fexit" }, metadata: info.value.metadata };
    case "lsmAttachInfo":
      return { target: { kind: "lsm" }, metadata: info.value.metadata };
    case undefined:
      throw invalid("attach", "it says nothing of the kind of place");
  }
}

function programInfo(
  { load, handles, meta }: ProgramRecordAnswer,
  links: readonly number[],
  mapUsedBy: readonly number[],
): MessageInitShape<typeof ProgramInfoSchema> {
  const globals = Object.entries(load.global_data).map(([name, base64]) => [name, Uint8Array.fromBase64(base64)]);
  return {
    name: load.program_name,
    bytecode: { location: locationOf(load) },
    links: [...links],
    globalData: Object.fromEntries(globals),
    ...(load.map_owner_id === null ? {} : { mapOwnerId: load.map_owner_id }),
    mapPinPath: handles.map_pin_path,
    mapUsedBy: mapUsedBy.map(String),
    metadata: { ...meta.metadata },
  };
}

function locationOf({ image_source: image, source_path: file }: ProgramRecordAnswer["load"]) {
  if (image === null) return { case: "file", value: file ?? "" } as const;
  const imagePullPolicy = PULL_POLICIES.indexOf(image.pull_policy as PullPolicy);
  return { case: "image", value: { url: image.url, imagePullPolicy } } as const;
}

/** Undefined for a program that has gone. */
function kernelInfo(kernel: KernelProgramAnswer | null): MessageInitShape<typeof KernelProgramInfoSchema> | undefined {
  if (kernel === null) return undefined;
  return {
    id: kernel.id,
    name: kernel.name,
    programType: programTypeNumber(kernel.program_type),
    loadedAt: kernel.loaded_at,
    tag: kernel.tag,
    gplCompatible: kernel.gpl_compatible,
    mapIds: [...kernel.map_ids],
    btfId: kernel.btf_id,
    bytesXlated: kernel.xlated_size,
    jited: kernel.jited_size > 0,
    bytesJited: kernel.jited_size,
    bytesMemlock: kernel.memlock,
    verifiedInsns: kernel.verified_insns,
  };
}
