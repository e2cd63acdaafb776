/** The tree of commands. Leaves are fetched when they are run or described; only names and summaries are here. */
import { ATTACHED_PROGRAM } from "./attached-program.ts";
import type { Group, Leaf } from "./command.ts";
import { DISPATCHER, LINK, PROGRAM } from "./nouns.ts";

export const HELP_LEAF: Leaf = {
  name: "help",
  summary: "Print this message or the help of the given subcommand(s)",
  load: async () => (await import("./commands/help.ts")).help,
};

export const VERSION_LEAF: Leaf = {
  name: "version",
  summary: "Print the versions of bpfman, Bun, libbpf and the kernel.",
  load: async () => (await import("./commands/version.ts")).version,
};

const LOAD: Group = {
  name: "load",
  summary: "Load an eBPF program on the system.",
  children: [
    {
      name: "file",
      summary: "Load an eBPF program from a local .o file.",
      load: async () => (await import("./commands/load-file.ts")).loadFile,
    },
    {
      name: "image",
      summary: "Load an eBPF program packaged in a OCI container image from a given registry.",
      load: async () => (await import("./commands/load-image.ts")).loadImage,
    },
  ],
};

const ATTACH: Group = {
  name: "attach",
  summary: "Attach an eBPF program to a hook point using the Program Id.",
  args: [ATTACHED_PROGRAM],
  children: [
    {
      name: "xdp",
      summary: "Install an eBPF program on the XDP hook point for a given interface.",
      load: async () => (await import("./commands/attach-xdp.ts")).attachXdp,
    },
    {
      name: "tc",
      summary: "Install an eBPF program on the TC hook point for a given interface.",
      load: async () => (await import("./commands/attach-tc.ts")).attachTc,
    },
    {
      name: "tcx",
      summary: "Install an eBPF program on the TCX hook point for a given interface and direction.",
      load: async () => (await import("./commands/attach-tcx.ts")).attachTcx,
    },
    {
      name: "tracepoint",
      summary: "Install an eBPF program on a Tracepoint.",
      load: async () => (await import("./commands/attach-tracepoint.ts")).attachTracepoint,
    },
    {
      name: "kprobe",
      summary: "Install a kprobe or kretprobe eBPF probe",
      load: async () => (await import("./commands/attach-kprobe.ts")).attachKprobe,
    },
    {
      name: "uprobe",
      summary: "Install a uprobe or uretprobe eBPF probe",
      load: async () => (await import("./commands/attach-uprobe.ts")).attachUprobe,
    },
    {
      name: "fentry",
      summary: "Install a fentry eBPF probe",
      load: async () => (await import("./commands/attach-tracing.ts")).attachFentry,
    },
    {
      name: "fexit",
      summary: "Install a fexit eBPF probe",
      load: async () => (await import("./commands/attach-tracing.ts")).attachFexit,
    },
    {
      name: "lsm",
      summary: "Install an LSM eBPF program on the hook it was loaded for",
      load: async () => (await import("./commands/attach-tracing.ts")).attachLsm,
    },
  ],
};

const LIST: Group = {
  name: "list",
  summary: "List all loaded eBPF programs loaded or attached links.",
  children: [
    {
      name: "programs",
      summary: "List all loaded eBPF programs.",
      aliases: ["program"],
      load: async () => (await import("./commands/list-programs.ts")).listPrograms,
    },
    {
      name: "links",
      summary: "list all program attachments.",
      aliases: ["link"],
      load: async () => (await import("./commands/list-links.ts")).listLinks,
    },
  ],
};

const GET: Group = {
  name: "get",
  summary: "Get a loaded eBPF program or program attachment link.",
  children: [
    {
      name: "program",
      summary: "Get a loaded eBPF program using the Program Id.",
      load: async () => (await import("./commands/get-program.ts")).getProgram,
    },
    {
      name: "link",
      summary: "Get a loaded eBPF program's attachment using the Link Id.",
      load: async () => (await import("./commands/get-link.ts")).getLink,
    },
  ],
};

const IMAGE: Group = {
  name: "image",
  summary: "eBPF Bytecode Image related commands.",
  children: [
    {
      name: "pull",
      summary: "Pull an eBPF bytecode image from a remote registry.",
      load: async () => (await import("./commands/pull-image.ts")).pullImage,
    },
    {
      name: "inspect",
      grammar: "noun",
      summary: "Show what an eBPF bytecode image in a remote registry holds.",
      load: async () => (await import("./commands/inspect-image.ts")).inspectImage,
    },
    {
      name: "verify",
      grammar: "noun",
      summary: "Verify the signatures of an eBPF bytecode image in a remote registry.",
      load: async () => (await import("./commands/verify-image.ts")).verifyImage,
    },
    {
      name: "build",
      summary: "Build an eBPF bytecode image from local bytecode objects and push to a registry.",
      load: async () => (await import("./commands/build-image.ts")).buildImage,
    },
    {
      name: "generate-build-args",
      summary: "Generate the OCI image labels for a given bytecode file.",
      load: async () => (await import("./commands/generate-build-args.ts")).generateBuildArgs,
    },
  ],
};

export const ROOT: Group = {
  name: "bpfman",
  summary: "An eBPF manager focusing on simplifying the deployment and administration of eBPF programs.",
  examples: [
    { does: "Load a program", line: "bpfman load file --path counter.o --programs tcx:count" },
    { does: "See its id", line: "bpfman list programs" },
    { does: "Attach it by that id", line: "bpfman attach 63178 tcx --direction ingress --iface eth0 --priority 50" },
    { does: "The same in the noun-verb grammar", line: "bpfman link attach tcx 63178 eth0 ingress --priority 50" },
    { does: "Take it all away", line: "bpfman unload 63178" },
    { does: "Let tab complete commands, ids and names", line: "source <(bpfman completions bash)" },
  ],
  children: [
    LOAD,
    {
      name: "unload",
      summary: "Unload an eBPF program using the Program Id.",
      load: async () => (await import("./commands/unload.ts")).unload,
    },
    ATTACH,
    {
      name: "detach",
      summary: "Detach an eBPF program from a hook point using the Link Id.",
      load: async () => (await import("./commands/detach.ts")).detach,
    },
    LIST,
    GET,
    PROGRAM,
    LINK,
    DISPATCHER,
    IMAGE,
    {
      name: "rpc",
      summary: "Serve the same operations as JSON-RPC 2.0 over stdio.",
      load: async () => (await import("./commands/rpc.ts")).rpc,
    },
    VERSION_LEAF,
    {
      name: "man",
      summary: "Generate man pages for bpfman.",
      hidden: true,
      load: async () => (await import("./commands/man.ts")).man,
    },
    {
      name: "completions",
      summary: "Generate shell completions for bpfman.",
      hidden: true,
      load: async () => (await import("./complete/completions.ts")).completions,
    },
    {
      name: "__complete",
      summary: "Answer what may stand at the cursor, for the shells' completions.",
      hidden: true,
      load: async () => (await import("./complete/complete.ts")).complete,
    },
    HELP_LEAF,
  ],
};
