import { CONTAINER_TOOLS } from "../../domain/container-tool.ts";
import { BpfmanError } from "../../errors/error.ts";
import { type Argument, type Command, type Flag, flagUsage, type Line } from "../command.ts";
import { parseWord } from "../parse/word.ts";
import { renderImageBuild } from "../render/image-build.ts";
import { BYTECODE_FLAGS, BYTECODE_WORDS, readBytecode } from "./bytecode-flags.ts";

const TAG: Flag = {
  long: "tag",
  short: "t",
  takes: "one",
  doc: [
    "Required: Name and optionally a tag in the name:tag format.",
    "Example: --tag quay.io/bpfman-bytecode/xdp_pass:latest",
  ],
};

const CONTAINER_FILE: Flag = {
  long: "container-file",
  short: "f",
  takes: "one",
  completes: "file",
  doc: [
    "Optional: Dockerfile to use for building the image, with docker or podman.",
    "Without it no container tool is needed: bpfman puts the image together and pushes it.",
    "Example: --container-file Containerfile.bytecode",
  ],
};

const RUNTIME: Flag = {
  long: "runtime",
  short: "r",
  takes: "one",
  choices: CONTAINER_TOOLS,
  doc: [
    "Optional: Container runtime to use with --container-file, works with docker or podman,",
    "defaults to docker where that has buildx.",
    "Example: --runtime podman",
  ],
};

/** The noun-verb grammar's place for the tag. */
const REFERENCE: Argument = {
  name: "image",
  grammar: "noun",
  optional: true,
  doc: ["Name and optionally a tag, unless --tag gives it.", "Example: quay.io/bpfman-bytecode/xdp_pass:latest"],
};

/** Where the image goes, and the words that are left for its files. Throws USAGE. */
function readTarget(line: Line): { readonly tag: string; readonly files: readonly string[] } {
  const tag = line.value(TAG);
  const words = [...line.words(REFERENCE), ...line.words(BYTECODE_WORDS)];
  const [reference, ...files] = words;
  if (tag !== null) return { tag, files: words };
  if (reference !== undefined) return { tag: reference, files };
  throw new BpfmanError("USAGE", `"bpfman image build" needs ${flagUsage(TAG)}`);
}

export const buildImage: Command = {
  description: [
    "Build an eBPF bytecode image from local bytecode objects and push to a registry.",
    "",
    "Credentials are those that docker or podman stored at login. A pointer to at least one bytecode file must be",
    "included, which can be passed in several ways. Use either:",
    "",
    "* --bytecode: for a single bytecode built for the host architecture.",
    "",
    "* --cilium-ebpf-project: for a cilium/ebpf project directory which contains",
    "  multiple object files for different architectures.",
    "",
    "* --bc-386-el .. --bc-s390x-eb: to add one or more architecture specific bytecode files.",
  ],
  args: [REFERENCE, BYTECODE_WORDS],
  flags: [TAG, CONTAINER_FILE, RUNTIME, ...BYTECODE_FLAGS],
  examples: [
    {
      does: "Publish one object file, without a container tool",
      line: "bpfman image build -t quay.io/acme/counter:v1 -b bpf_x86_bpfel.o",
    },
    {
      does: "Publish for two platforms",
      line: "bpfman image build -t quay.io/acme/counter:v1 --bc-amd64-el x86.o --bc-s390x-eb s390.o",
    },
    {
      does: "The same in the noun-verb grammar",
      line: "bpfman image build quay.io/acme/counter:v1 linux/amd64=x86.o linux/s390x=s390.o",
    },
    {
      does: "Build with podman from a Containerfile",
      line: "bpfman image build -f Containerfile.bytecode -r podman -t quay.io/acme/counter:v1 -b bpf_x86_bpfel.o",
    },
  ],
  prepare(line) {
    const { tag, files } = readTarget(line);
    const containerFile = line.value(CONTAINER_FILE);
    const word = line.value(RUNTIME);
    if (word !== null && containerFile === null) {
      throw new BpfmanError("USAGE", '"--runtime <RUNTIME>" needs "--container-file <CONTAINER_FILE>"');
    }
    const runtime =
      word === null ? null : parseWord(word, { what: "container runtime", words: CONTAINER_TOOLS, code: "USAGE" });
    const request = {
      tag,
      bytecode: readBytecode(line, files),
      containerFile,
      runtime,
      contextFolder: null,
    };
    return async (session) => session.print(await session.invoke("image/build", request), renderImageBuild);
  },
};
