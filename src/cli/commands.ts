/** The one tree of commands, with both grammars. Leaves are fetched when they are run or described; only names and summaries are here. */
import type { Command, Group, Leaf } from "./command.ts";
import { PROGRAM_ID } from "./fields.ts";

/** A leaf for each hook that a program can be attached to, in both grammars. */
const HOOKS: readonly {
  readonly name: string;
  readonly classic: string;
  readonly noun: string;
  load(): Promise<{ readonly classic: Command; readonly noun: Command }>;
}[] = [
  {
    name: "xdp",
    classic: "Install an eBPF program on the XDP hook point for a given interface.",
    noun: "Attach an XDP program to a network interface.",
    load: async () => (await import("./attach/xdp.ts")).attachXdp,
  },
  {
    name: "tc",
    classic: "Install an eBPF program on the TC hook point for a given interface.",
    noun: "Attach a TC program to a direction of a network interface.",
    load: async () => (await import("./attach/tc.ts")).attachTc,
  },
  {
    name: "tcx",
    classic: "Install an eBPF program on the TCX hook point for a given interface and direction.",
    noun: "Attach a TCX program to a direction of a network interface.",
    load: async () => (await import("./attach/tcx.ts")).attachTcx,
  },
  {
    name: "tracepoint",
    classic: "Install an eBPF program on a Tracepoint.",
    noun: "Attach a program to a tracepoint.",
    load: async () => (await import("./attach/tracepoint.ts")).attachTracepoint,
  },
  {
    name: "kprobe",
    classic: "Install a kprobe or kretprobe eBPF probe",
    noun: "Attach a kprobe or kretprobe program to a kernel function.",
    load: async () => (await import("./attach/kprobe.ts")).attachKprobe,
  },
  {
    name: "uprobe",
    classic: "Install a uprobe or uretprobe eBPF probe",
    noun: "Attach a uprobe or uretprobe program to a function of a binary or library.",
    load: async () => (await import("./attach/uprobe.ts")).attachUprobe,
  },
  {
    name: "fentry",
    classic: "Install a fentry eBPF probe",
    noun: "Attach an fentry program to the function it was loaded for.",
    load: async () => (await import("./attach/tracing.ts")).attachFentry,
  },
  {
    name: "fexit",
    classic: "Install a fexit eBPF probe",
    noun: "Attach an fexit program to the function it was loaded for.",
    load: async () => (await import("./attach/tracing.ts")).attachFexit,
  },
  {
    name: "lsm",
    classic: "Install an LSM eBPF program on the hook it was loaded for",
    noun: "Attach an LSM program to the hook it was loaded for.",
    load: async () => (await import("./attach/tracing.ts")).attachLsm,
  },
];

const hooks = (grammar: "classic" | "noun"): Leaf[] =>
  HOOKS.map(({ name, [grammar]: summary, load }) => ({ name, summary, load: async () => (await load())[grammar] }));

export const HELP_LEAF: Leaf = {
  name: "help",
  summary: "Print this message or the help of the given subcommand(s)",
  load: async () => (await import("./about/about.ts")).help.classic,
};

/** What `--version` runs. */
export const VERSION_LINE_LEAF: Leaf = {
  name: "version",
  summary: "Print the version of bpfman in one line.",
  load: async () => (await import("./about/about.ts")).versionLine.classic,
};

const VERSION_LEAF: Leaf = {
  name: "version",
  summary: "Print the versions of bpfman, Bun, libbpf and the kernel.",
  load: async () => (await import("./about/about.ts")).version.classic,
};

const LOAD: Group = {
  name: "load",
  summary: "Load an eBPF program on the system.",
  children: [
    {
      name: "file",
      summary: "Load an eBPF program from a local .o file.",
      load: async () => (await import("./load/load.ts")).loadFile.classic,
    },
    {
      name: "image",
      summary: "Load an eBPF program packaged in a OCI container image from a given registry.",
      load: async () => (await import("./load/load.ts")).loadImage.classic,
    },
  ],
};

const ATTACH: Group = {
  name: "attach",
  summary: "Attach an eBPF program to a hook point using the Program Id.",
  args: [PROGRAM_ID],
  completes: "attach-kind",
  children: hooks("classic"),
};

const LIST: Group = {
  name: "list",
  summary: "List all loaded eBPF programs loaded or attached links.",
  children: [
    {
      name: "programs",
      summary: "List all loaded eBPF programs.",
      aliases: ["program"],
      load: async () => (await import("./list/programs.ts")).listPrograms.classic,
    },
    {
      name: "links",
      summary: "list all program attachments.",
      aliases: ["link"],
      load: async () => (await import("./list/links.ts")).listLinks.classic,
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
      load: async () => (await import("./get/program.ts")).getProgram.classic,
    },
    {
      name: "link",
      summary: "Get a loaded eBPF program's attachment using the Link Id.",
      load: async () => (await import("./get/link.ts")).getLink.classic,
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
      load: async () => (await import("./image/registry.ts")).pullImage.classic,
    },
    {
      name: "inspect",
      grammar: "noun",
      summary: "Show what an eBPF bytecode image in a remote registry holds.",
      load: async () => (await import("./image/registry.ts")).inspectImage.noun,
    },
    {
      name: "verify",
      grammar: "noun",
      summary: "Verify the signatures of an eBPF bytecode image in a remote registry.",
      load: async () => (await import("./image/registry.ts")).verifyImage.noun,
    },
    {
      name: "build",
      summary: "Build an eBPF bytecode image from local bytecode objects and push to a registry.",
      load: async () => (await import("./image/build.ts")).buildImage.classic,
    },
    {
      name: "generate-build-args",
      summary: "Generate the OCI image labels for a given bytecode file.",
      load: async () => (await import("./image/build.ts")).generateBuildArgs.classic,
    },
  ],
};

// The noun-verb grammar, as newer bpfman has it: no word of these groups is a classic command.

const PROGRAM_LOAD: Group = {
  name: "load",
  summary: "Load eBPF programs from an object file or an image.",
  otherwise: { child: "file", takesWord: true },
  children: [
    {
      name: "file",
      summary: "Load eBPF programs from a local object file.",
      load: async () => (await import("./load/load.ts")).loadFile.noun,
    },
    {
      name: "image",
      summary: "Load eBPF programs from an OCI image.",
      load: async () => (await import("./load/load.ts")).loadImage.noun,
    },
  ],
};

const PROGRAM: Group = {
  name: "program",
  summary: "Load, show and remove eBPF programs.",
  grammar: "noun",
  otherwise: { child: "list" },
  children: [
    PROGRAM_LOAD,
    {
      name: "unload",
      summary: "Unload eBPF programs; their links are detached first.",
      load: async () => (await import("./remove/remove.ts")).unload.noun,
    },
    {
      name: "get",
      summary: "Show one program.",
      load: async () => (await import("./get/program.ts")).getProgram.noun,
    },
    {
      name: "list",
      summary: "List programs.",
      load: async () => (await import("./list/programs.ts")).listPrograms.noun,
    },
    {
      name: "delete",
      summary: "Delete programs with all that hangs on them.",
      load: async () => (await import("./remove/remove.ts")).deletePrograms.noun,
    },
  ],
};

const LINK_ATTACH: Group = {
  name: "attach",
  summary: "Attach a loaded program to a hook.",
  children: hooks("noun"),
};

const LINK: Group = {
  name: "link",
  summary: "Attach programs to hooks; show, change and remove these links.",
  grammar: "noun",
  otherwise: { child: "list" },
  children: [
    LINK_ATTACH,
    {
      name: "detach",
      summary: "Detach links.",
      load: async () => (await import("./remove/remove.ts")).detach.noun,
    },
    {
      name: "get",
      summary: "Show one link.",
      load: async () => (await import("./get/link.ts")).getLink.noun,
    },
    {
      name: "list",
      summary: "List links.",
      load: async () => (await import("./list/links.ts")).listLinks.noun,
    },
    {
      name: "update",
      summary: "Change priority or proceed-on of a live XDP or TC link, without detaching it.",
      load: async () => (await import("./attach/update.ts")).updateLink.noun,
    },
    {
      name: "delete",
      summary: "Delete links; a program goes with its last one.",
      load: async () => (await import("./remove/remove.ts")).deleteLinks.noun,
    },
  ],
};

const DISPATCHER: Group = {
  name: "dispatcher",
  summary: "Show and remove the chains of XDP and TC programs that share a hook.",
  grammar: "noun",
  otherwise: { child: "list" },
  children: [
    {
      name: "list",
      summary: "List all hooks on which bpfman runs a chain.",
      load: async () => (await import("./dispatcher/dispatcher.ts")).listDispatchers.noun,
    },
    {
      name: "get",
      summary: "Get the dispatcher of a hook, with its members in order.",
      load: async () => (await import("./dispatcher/dispatcher.ts")).getDispatcher.noun,
    },
    {
      name: "delete",
      summary: "Take a whole chain off its hook; its programs stay loaded.",
      load: async () => (await import("./dispatcher/dispatcher.ts")).deleteDispatcher.noun,
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
      load: async () => (await import("./remove/remove.ts")).unload.classic,
    },
    ATTACH,
    {
      name: "detach",
      summary: "Detach an eBPF program from a hook point using the Link Id.",
      load: async () => (await import("./remove/remove.ts")).detach.classic,
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
      load: async () => (await import("./about/about.ts")).rpc.classic,
    },
    VERSION_LEAF,
    {
      name: "man",
      summary: "Generate man pages for bpfman.",
      hidden: true,
      load: async () => (await import("./about/man.ts")).man.classic,
    },
    {
      name: "completions",
      summary: "Generate shell completions for bpfman.",
      hidden: true,
      load: async () => (await import("./complete/completions.ts")).completions.classic,
    },
    {
      name: "__complete",
      summary: "Answer what may stand at the cursor, for the shells' completions.",
      hidden: true,
      load: async () => (await import("./complete/complete.ts")).complete.classic,
    },
    HELP_LEAF,
  ],
};
