/**
 * The noun-verb grammar, as newer bpfman has it: a second table over the same operations. Its groups take part in the one
 * tree (commands.ts), since no word of theirs is a classic command.
 */
import type { Group } from "./command.ts";

const PROGRAM_LOAD: Group = {
  name: "load",
  summary: "Load eBPF programs from an object file or an image.",
  otherwise: { child: "file", takesWord: true },
  children: [
    {
      name: "file",
      summary: "Load eBPF programs from a local object file.",
      load: async () => (await import("./nouns/load-file.ts")).loadFile,
    },
    {
      name: "image",
      summary: "Load eBPF programs from an OCI image.",
      load: async () => (await import("./nouns/load-image.ts")).loadImage,
    },
  ],
};

export const PROGRAM: Group = {
  name: "program",
  summary: "Load, show and remove eBPF programs.",
  grammar: "noun",
  otherwise: { child: "list" },
  children: [
    PROGRAM_LOAD,
    {
      name: "unload",
      summary: "Unload eBPF programs; their links are detached first.",
      load: async () => (await import("./nouns/reused.ts")).unload,
    },
    {
      name: "get",
      summary: "Show one program.",
      load: async () => (await import("./nouns/reused.ts")).getProgram,
    },
    {
      name: "list",
      summary: "List programs.",
      load: async () => (await import("./nouns/list-programs.ts")).listPrograms,
    },
    {
      name: "delete",
      summary: "Delete programs with all that hangs on them.",
      load: async () => (await import("./nouns/delete.ts")).deletePrograms,
    },
  ],
};

const LINK_ATTACH: Group = {
  name: "attach",
  summary: "Attach a loaded program to a hook.",
  children: [
    {
      name: "xdp",
      summary: "Attach an XDP program to a network interface.",
      load: async () => (await import("./nouns/attach-network.ts")).attachXdp,
    },
    {
      name: "tc",
      summary: "Attach a TC program to a direction of a network interface.",
      load: async () => (await import("./nouns/attach-network.ts")).attachTc,
    },
    {
      name: "tcx",
      summary: "Attach a TCX program to a direction of a network interface.",
      load: async () => (await import("./nouns/attach-network.ts")).attachTcx,
    },
    {
      name: "tracepoint",
      summary: "Attach a program to a tracepoint.",
      load: async () => (await import("./nouns/attach-probe.ts")).attachTracepoint,
    },
    {
      name: "kprobe",
      summary: "Attach a kprobe or kretprobe program to a kernel function.",
      load: async () => (await import("./nouns/attach-probe.ts")).attachKprobe,
    },
    {
      name: "uprobe",
      summary: "Attach a uprobe or uretprobe program to a function of a binary or library.",
      load: async () => (await import("./nouns/attach-probe.ts")).attachUprobe,
    },
    {
      name: "fentry",
      summary: "Attach an fentry program to the function it was loaded for.",
      load: async () => (await import("./nouns/attach-probe.ts")).attachFentry,
    },
    {
      name: "fexit",
      summary: "Attach an fexit program to the function it was loaded for.",
      load: async () => (await import("./nouns/attach-probe.ts")).attachFexit,
    },
    {
      name: "lsm",
      summary: "Attach an LSM program to the hook it was loaded for.",
      load: async () => (await import("./nouns/attach-probe.ts")).attachLsm,
    },
  ],
};

export const LINK: Group = {
  name: "link",
  summary: "Attach programs to hooks; show, change and remove these links.",
  grammar: "noun",
  otherwise: { child: "list" },
  children: [
    LINK_ATTACH,
    {
      name: "detach",
      summary: "Detach links.",
      load: async () => (await import("./nouns/reused.ts")).detach,
    },
    {
      name: "get",
      summary: "Show one link.",
      load: async () => (await import("./nouns/reused.ts")).getLink,
    },
    {
      name: "list",
      summary: "List links.",
      load: async () => (await import("./nouns/list-links.ts")).listLinks,
    },
    {
      name: "update",
      summary: "Change priority or proceed-on of a live XDP or TC link, without detaching it.",
      load: async () => (await import("./commands/update-link.ts")).updateLink,
    },
    {
      name: "delete",
      summary: "Delete links; a program goes with its last one.",
      load: async () => (await import("./nouns/delete.ts")).deleteLinks,
    },
  ],
};

export const DISPATCHER: Group = {
  name: "dispatcher",
  summary: "Show and remove the chains of XDP and TC programs that share a hook.",
  grammar: "noun",
  otherwise: { child: "list" },
  children: [
    {
      name: "list",
      summary: "List all hooks on which bpfman runs a chain.",
      load: async () => (await import("./commands/list-dispatchers.ts")).listDispatchers,
    },
    {
      name: "get",
      summary: "Get the dispatcher of a hook, with its members in order.",
      load: async () => (await import("./commands/get-dispatcher.ts")).getDispatcher,
    },
    {
      name: "delete",
      summary: "Take a whole chain off its hook; its programs stay loaded.",
      load: async () => (await import("./nouns/delete.ts")).deleteDispatcher,
    },
  ],
};
