/** Commands that build images from object files. */
import { BYTECODE_SLOTS, PLATFORMS, platformOf, slotOfPlatform } from "../../domain/bytecode-slot.ts";
import { CONTAINER_TOOLS } from "../../domain/container-tool.ts";
import { didYouMean } from "../../errors/suggest.ts";
import {
  asking,
  defineCommand,
  type Field,
  flagUsage,
  optional,
  several,
  type Values,
  usageError,
} from "../command.ts";
import { oneOf } from "../parse/word.ts";
import { renderBuildArgs, renderImageBuild } from "../render/image.ts";

const BYTECODE = optional({
  long: "bytecode",
  short: "b",
  completes: "file",
  doc: ["Bytecode file for the architecture of this machine.", "Example: -b ./examples/go-xdp-counter/bpf_x86_bpfel.o"],
});

const PROJECT = optional({
  long: "cilium-ebpf-project",
  short: "c",
  completes: "directory",
  doc: [
    "Directory of a cilium/ebpf project, for several architectures at once.",
    "It takes the files that bpf2go names *_bpf<el|eb>.o.",
    "Example: --cilium-ebpf-project ./examples/go-xdp-counter",
  ],
});

type SlotName = `bc-${string}`;

/** One option per platform. */
const SLOTS = BYTECODE_SLOTS.map((slot) => {
  const order = slot.byteOrder === "little" ? "el" : "eb";
  const name: SlotName = `bc-${slot.architecture}-${order}`;
  const field = optional({
    long: name,
    completes: "file",
    doc: [
      `Bytecode file for linux/${slot.architecture}.`,
      `Example: --${name} ./counter/bpf_${slot.fileWords[0]}_bpf${order}.o`,
    ],
  });
  return { name, field, platform: platformOf(slot) };
});

const OBJECTS = Object.assign(
  {
    /** The object files in the noun-verb grammar. */
    files: several({
      takes: "list",
      long: "bytecode",
      grammar: "noun",
      completes: "platform-file",
      doc: [
        "Bytecode file for this machine's architecture, or PLATFORM=FILE pairs.",
        "Example: linux/amd64=bpf_x86_bpfel.o linux/s390x=bpf_s390_bpfeb.o",
      ],
    }),
    bytecode: BYTECODE,
    project: PROJECT,
  },
  Object.fromEntries(SLOTS.map(({ name, field }) => [name, field])) as Record<SlotName, typeof BYTECODE>,
);

/** Parses `FILE`, or `PLATFORM=FILE...`, for a request. Throws USAGE. */
function readWords(words: readonly string[]) {
  const mapped = words.flatMap((word) => {
    const [, platform, file] = /^([^=]*\/[^=]*)=(.*)$/s.exec(word) ?? [];
    return platform === undefined || file === undefined ? [] : [{ platform, file }];
  });
  for (const [at, { platform, file }] of mapped.entries()) {
    if (file === "") throw usageError(`the bytecode file for ${platform} is missing`);
    if (slotOfPlatform(platform) === null) {
      const hint = didYouMean(platform, PLATFORMS) ?? `platforms are ${PLATFORMS.join(", ")}`;
      throw usageError(`unknown platform "${platform}"`, hint);
    }
    if (mapped.findIndex((other) => other.platform === platform) < at) {
      throw usageError(`platform ${platform} is given more than once`);
    }
  }
  if (mapped.length === words.length) return { file: null, project: null, files: mapped };
  const [file = "", second] = words;
  if (second === undefined) return { file, project: null, files: null };
  throw usageError(
    "several bytecode files need the platform of each",
    "write linux/ARCHITECTURE=FILE for each: an object file does not record its target architecture",
  );
}

/** Returns the `bytecode` of a request from options or words. Throws USAGE unless exactly one way is used. */
function readBytecode(values: Values<typeof OBJECTS>, words: readonly string[]) {
  const { bytecode: file, project } = values;
  const slots = SLOTS.filter(({ name }) => (values[name] ?? null) !== null);
  const [first, second]: Field[] = [
    ...(file === null ? [] : [BYTECODE]),
    ...(project === null ? [] : [PROJECT]),
    ...slots.slice(0, 1).map(({ field }) => field),
  ];
  if (words.length > 0) {
    if (first === undefined) return readWords(words);
    throw usageError(`"${flagUsage(first)}" cannot be used with bytecode file "${words[0]}"`);
  }
  if (first === undefined) {
    throw usageError(
      "no bytecode file was given",
      `name a file, or linux/ARCHITECTURE=FILE for each platform; or give ${flagUsage(PROJECT)}`,
    );
  }
  if (second !== undefined) {
    throw usageError(`"${flagUsage(first)}" cannot be used with "${flagUsage(second)}"`);
  }
  const files = slots.map(({ name, platform }) => ({ platform, file: values[name] }));
  return { file, project, files: files.length === 0 ? null : files };
}

export const generateBuildArgs = defineCommand(() => ({
  description: [
    "Prints the build arguments that a Containerfile for bytecode images takes:",
    "the path of each bytecode file, and labels that name the programs and maps of",
    "the first one.",
  ],
  fields: OBJECTS,
  classic: {
    words: ["files"],
    examples: {
      "Print the build arguments for two platforms":
        "bpfman image generate-build-args --bc-amd64-el bpf_x86_bpfel.o --bc-s390x-eb bpf_s390_bpfeb.o",
      "Use the noun-verb grammar":
        "bpfman image generate-build-args linux/amd64=bpf_x86_bpfel.o linux/s390x=bpf_s390_bpfeb.o",
    },
  },
  prepare: (values) =>
    asking("image/generateBuildArgs", { bytecode: readBytecode(values, values.files) }, renderBuildArgs),
}));

const TAG = optional({
  long: "tag",
  short: "t",
  doc: [
    "Name of the image to push, optionally with a tag, as NAME:TAG.",
    "Example: --tag quay.io/bpfman-bytecode/xdp_pass:latest",
  ],
});

export const buildImage = defineCommand(() => ({
  description: [
    "Builds an eBPF bytecode image from object files and pushes it to a registry,",
    "with the credentials that a docker or podman login stored.",
    "",
    "Name the object files in one of these ways:",
    "",
    "* --bytecode: one file, for the architecture of this machine",
    "* --cilium-ebpf-project: the directory of a cilium/ebpf project",
    "* --bc-386-el to --bc-s390x-eb: one file for each architecture",
  ],
  fields: {
    /** The tag in the noun-verb grammar. */
    reference: optional({
      long: "image",
      grammar: "noun",
      doc: ["Name of the image to push, unless --tag gives it.", "Example: quay.io/bpfman-bytecode/xdp_pass:latest"],
    }),
    tag: TAG,
    containerFile: optional({
      long: "container-file",
      short: "f",
      completes: "file",
      doc: [
        "Containerfile or Dockerfile to build from with docker or podman.",
        "Without it, bpfman builds and pushes the image itself.",
        "Example: --container-file Containerfile.bytecode",
      ],
    }),
    runtime: optional(
      {
        long: "runtime",
        short: "r",
        choices: CONTAINER_TOOLS,
        doc: [
          "Container tool for --container-file: docker or podman.",
          "The default is docker if it has buildx, else podman.",
          "Example: --runtime podman",
        ],
      },
      oneOf("container runtime", CONTAINER_TOOLS),
    ),
    ...OBJECTS,
  },
  classic: {
    words: ["reference", "files"],
    examples: {
      "Publish one object file, without a container tool":
        "bpfman image build -t quay.io/acme/counter:v1 -b bpf_x86_bpfel.o",
      "Publish for two platforms":
        "bpfman image build -t quay.io/acme/counter:v1 --bc-amd64-el x86.o --bc-s390x-eb s390.o",
      "Use the noun-verb grammar": "bpfman image build quay.io/acme/counter:v1 linux/amd64=x86.o linux/s390x=s390.o",
      "Build with podman from a Containerfile":
        "bpfman image build -f Containerfile.bytecode -r podman -t quay.io/acme/counter:v1 -b bpf_x86_bpfel.o",
    },
  },
  prepare(values) {
    const { reference, runtime, containerFile } = values;
    // With --tag, the first word is a file too.
    const files = [...(values.tag === null || reference === null ? [] : [reference]), ...values.files];
    const tag = values.tag ?? reference;
    if (tag === null) throw usageError(`"bpfman image build" needs ${flagUsage(TAG)}`);
    if (runtime !== null && containerFile === null) {
      throw usageError('"--runtime <RUNTIME>" needs "--container-file <CONTAINER_FILE>"');
    }
    const request = { tag, bytecode: readBytecode(values, files), containerFile, runtime, contextDirectory: null };
    return asking("image/build", request, renderImageBuild);
  },
}));
