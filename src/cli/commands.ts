/**
 * The tree of commands with both grammars. It contains only names and summaries; a command is loaded to run or describe
 * it.
 */
import type { Command, Group, Leaf } from "./command.ts";
import { PROGRAM_ID } from "./fields.ts";

/** A leaf per hook that a program can be attached to, in both grammars. */
const HOOKS: readonly {
  readonly name: string;
  readonly summary: string;
  load(): Promise<{ readonly classic: Command; readonly noun: Command }>;
}[] = [
  {
    name: "xdp",
    summary: "Attach an XDP program to a network interface.",
    load: async () => (await import("./attach/xdp.ts")).attachXdp,
  },
  {
    name: "tc",
    summary: "Attach a TC program to one direction of a network interface.",
    load: async () => (await import("./attach/tc.ts")).attachTc,
  },
  {
    name: "tcx",
    summary: "Attach a TCX program to one direction of a network interface.",
    load: async () => (await import("./attach/tcx.ts")).attachTcx,
  },
  {
    name: "tracepoint",
    summary: "Attach a program to a tracepoint.",
    load: async () => (await import("./attach/tracepoint.ts")).attachTracepoint,
  },
  {
    name: "kprobe",
    summary: "Attach a kprobe or kretprobe program to a kernel function.",
    load: async () => (await import("./attach/kprobe.ts")).attachKprobe,
  },
  {
    name: "uprobe",
    summary: "Attach a uprobe or uretprobe program to a binary or library.",
    load: async () => (await import("./attach/uprobe.ts")).attachUprobe,
  },
  {
    name: "fentry",
    summary: "Attach an fentry program to the function it was loaded for.",
    load: async () => (await import("./attach/tracing.ts")).attachFentry,
  },
  {
    name: "fexit",
    summary: "Attach an fexit program to the function it was loaded for.",
    load: async () => (await import("./attach/tracing.ts")).attachFexit,
  },
  {
    name: "lsm",
    summary: "Attach an LSM program to the hook it was loaded for.",
    load: async () => (await import("./attach/tracing.ts")).attachLsm,
  },
];

const hooks = (grammar: "classic" | "noun"): Leaf[] =>
  HOOKS.map(({ name, summary, load }) => ({ name, summary, load: async () => (await load())[grammar] }));

export const HELP_LEAF: Leaf = {
  name: "help",
  summary: "Show help for bpfman or for one command.",
  load: async () => (await import("./about/about.ts")).help.classic,
};

/** The command that `--version` runs. */
export const VERSION_LINE_LEAF: Leaf = {
  name: "version",
  summary: "Print the version of bpfman on one line.",
  load: async () => (await import("./about/about.ts")).versionLine.classic,
};

const VERSION_LEAF: Leaf = {
  name: "version",
  summary: "Print the versions of bpfman, Bun, libbpf and the kernel.",
  load: async () => (await import("./about/about.ts")).version.classic,
};

const LOAD: Group = {
  name: "load",
  summary: "Load eBPF programs into the kernel.",
  children: [
    {
      name: "file",
      summary: "Load eBPF programs from an object file.",
      load: async () => (await import("./load/load.ts")).loadFile.classic,
    },
    {
      name: "image",
      summary: "Load eBPF programs from an OCI image.",
      load: async () => (await import("./load/load.ts")).loadImage.classic,
    },
  ],
};

const ATTACH: Group = {
  name: "attach",
  summary: "Attach a loaded program to a hook.",
  args: [PROGRAM_ID],
  completes: "attach-kind",
  children: hooks("classic"),
};

const LIST: Group = {
  name: "list",
  summary: "List programs or links.",
  children: [
    {
      name: "programs",
      summary: "List loaded programs.",
      aliases: ["program"],
      load: async () => (await import("./list/programs.ts")).listPrograms.classic,
    },
    {
      name: "links",
      summary: "List links: which program is attached where.",
      aliases: ["link"],
      load: async () => (await import("./list/links.ts")).listLinks.classic,
    },
  ],
};

const GET: Group = {
  name: "get",
  summary: "Show one program or link in detail.",
  children: [
    {
      name: "program",
      summary: "Show one program in detail.",
      load: async () => (await import("./get/program.ts")).getProgram.classic,
    },
    {
      name: "link",
      summary: "Show one link in detail.",
      load: async () => (await import("./get/link.ts")).getLink.classic,
    },
  ],
};

const IMAGE: Group = {
  name: "image",
  summary: "Pull, inspect, verify and build eBPF bytecode images.",
  children: [
    {
      name: "pull",
      summary: "Pull an eBPF bytecode image into the local cache.",
      load: async () => (await import("./image/registry.ts")).pullImage.classic,
    },
    {
      name: "inspect",
      grammar: "noun",
      summary: "Show what an image in a registry contains.",
      load: async () => (await import("./image/registry.ts")).inspectImage.noun,
    },
    {
      name: "verify",
      grammar: "noun",
      summary: "Verify the signatures of an image in a registry.",
      load: async () => (await import("./image/registry.ts")).verifyImage.noun,
    },
    {
      name: "build",
      summary: "Build an eBPF bytecode image and push it to a registry.",
      load: async () => (await import("./image/build.ts")).buildImage.classic,
    },
    {
      name: "generate-build-args",
      summary: "Print the build arguments for a bytecode image.",
      load: async () => (await import("./image/build.ts")).generateBuildArgs.classic,
    },
  ],
};

// The noun-verb grammar of newer bpfman. None of these groups' names is a classic command.

const PROGRAM_LOAD: Group = {
  name: "load",
  summary: "Load eBPF programs from an object file or an image.",
  otherwise: { child: "file", takesWord: true },
  children: [
    {
      name: "file",
      summary: "Load eBPF programs from an object file.",
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
      summary: "Unload programs after detaching their links.",
      load: async () => (await import("./remove/remove.ts")).unload.noun,
    },
    {
      name: "get",
      summary: "Show one program in detail.",
      load: async () => (await import("./get/program.ts")).getProgram.noun,
    },
    {
      name: "list",
      summary: "List programs.",
      load: async () => (await import("./list/programs.ts")).listPrograms.noun,
    },
    {
      name: "delete",
      summary: "Delete programs together with their links.",
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
  summary: "Attach programs to hooks; show, change and remove the links.",
  grammar: "noun",
  otherwise: { child: "list" },
  children: [
    LINK_ATTACH,
    {
      name: "detach",
      summary: "Detach links from their hooks.",
      load: async () => (await import("./remove/remove.ts")).detach.noun,
    },
    {
      name: "get",
      summary: "Show one link in detail.",
      load: async () => (await import("./get/link.ts")).getLink.noun,
    },
    {
      name: "list",
      summary: "List links.",
      load: async () => (await import("./list/links.ts")).listLinks.noun,
    },
    {
      name: "update",
      summary: "Change the priority or proceed-on of a live XDP or TC link.",
      load: async () => (await import("./attach/update.ts")).updateLink.noun,
    },
    {
      name: "delete",
      summary: "Delete links, and any program left without one.",
      load: async () => (await import("./remove/remove.ts")).deleteLinks.noun,
    },
  ],
};

const DISPATCHER: Group = {
  name: "dispatcher",
  summary: "Show and remove chains of XDP and TC programs on one hook.",
  grammar: "noun",
  otherwise: { child: "list" },
  children: [
    {
      name: "list",
      summary: "List the hooks on which bpfman runs a chain.",
      load: async () => (await import("./dispatcher/dispatcher.ts")).listDispatchers.noun,
    },
    {
      name: "get",
      summary: "Show the dispatcher of a hook and its members in order.",
      load: async () => (await import("./dispatcher/dispatcher.ts")).getDispatcher.noun,
    },
    {
      name: "delete",
      summary: "Detach a whole chain from its hook; its programs stay loaded.",
      load: async () => (await import("./dispatcher/dispatcher.ts")).deleteDispatcher.noun,
    },
  ],
};

export const ROOT: Group = {
  name: "bpfman",
  summary: "Load, attach and manage eBPF programs.",
  examples: [
    { does: "Load a program", line: "bpfman load file --path counter.o --programs tcx:count" },
    { does: "Find its ID", line: "bpfman list programs" },
    { does: "Attach it by that ID", line: "bpfman attach 63178 tcx --direction ingress --iface eth0 --priority 50" },
    { does: "Attach it with the noun-verb grammar", line: "bpfman link attach tcx 63178 eth0 ingress --priority 50" },
    { does: "Detach and unload it", line: "bpfman unload 63178" },
    { does: "Enable tab completion of commands, IDs and names", line: "source <(bpfman completions bash)" },
  ],
  children: [
    LOAD,
    {
      name: "unload",
      summary: "Unload programs after detaching their links.",
      load: async () => (await import("./remove/remove.ts")).unload.classic,
    },
    ATTACH,
    {
      name: "detach",
      summary: "Detach links from their hooks.",
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
      summary: "Serve all operations as JSON-RPC 2.0 over stdio.",
      load: async () => (await import("./about/about.ts")).rpc.classic,
    },
    VERSION_LEAF,
    {
      name: "man",
      summary: "Write the manual pages.",
      hidden: true,
      load: async () => (await import("./about/man.ts")).man.classic,
    },
    {
      name: "completions",
      summary: "Print or write shell completions.",
      hidden: true,
      load: async () => (await import("./complete/completions.ts")).completions.classic,
    },
    {
      name: "__complete",
      summary: "List candidates at the cursor; shell completions call this.",
      hidden: true,
      load: async () => (await import("./complete/complete.ts")).complete.classic,
    },
    HELP_LEAF,
  ],
};
