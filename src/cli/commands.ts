/**
 * The tree of commands with both grammars. It contains only names and summaries; a command is loaded to run or describe
 * it.
 */
import type { Command, Group, Leaf } from "./command.ts";
import { PROGRAM_ID } from "./fields.ts";

/** A command of a file that is loaded to run or describe it. */
const leaf = <Module>(
  name: string,
  summary: string,
  file: () => Promise<Module>,
  commandOf: (its: Module) => Command,
  more: Partial<Leaf> = {},
): Leaf => ({ name, summary, ...more, load: async () => commandOf(await file()) });

// Files of several commands.
const about = () => import("./about/about.ts");
const tracing = () => import("./attach/tracing.ts");
const doctor = () => import("./doctor/doctor.ts");
const dispatcher = () => import("./dispatcher/dispatcher.ts");
const oneLink = () => import("./get/link.ts");
const oneProgram = () => import("./get/program.ts");
const imageBuild = () => import("./image/build.ts");
const registry = () => import("./image/registry.ts");
const linkList = () => import("./list/links.ts");
const programList = () => import("./list/programs.ts");
const loading = () => import("./load/load.ts");
const removal = () => import("./remove/remove.ts");

/** A leaf per hook that a program can be attached to, in both grammars. */
const hooks = (grammar: "classic" | "noun"): Leaf[] => [
  leaf(
    "xdp",
    "Attach an XDP program to a network interface.",
    () => import("./attach/xdp.ts"),
    (its) => its.attachXdp[grammar],
  ),
  leaf(
    "tc",
    "Attach a TC program to one direction of a network interface.",
    () => import("./attach/tc.ts"),
    (its) => its.attachTc[grammar],
  ),
  leaf(
    "tcx",
    "Attach a TCX program to one direction of a network interface.",
    () => import("./attach/tcx.ts"),
    (its) => its.attachTcx[grammar],
  ),
  leaf(
    "tracepoint",
    "Attach a program to a tracepoint.",
    () => import("./attach/tracepoint.ts"),
    (its) => its.attachTracepoint[grammar],
  ),
  leaf(
    "kprobe",
    "Attach a kprobe or kretprobe program to a kernel function.",
    () => import("./attach/kprobe.ts"),
    (its) => its.attachKprobe[grammar],
  ),
  leaf(
    "uprobe",
    "Attach a uprobe or uretprobe program to a binary or library.",
    () => import("./attach/uprobe.ts"),
    (its) => its.attachUprobe[grammar],
  ),
  leaf(
    "fentry",
    "Attach an fentry program to the function it was loaded for.",
    tracing,
    (its) => its.attachFentry[grammar],
  ),
  leaf(
    "fexit",
    "Attach an fexit program to the function it was loaded for.",
    tracing,
    (its) => its.attachFexit[grammar],
  ),
  leaf("lsm", "Attach an LSM program to the hook it was loaded for.", tracing, (its) => its.attachLsm[grammar]),
];

export const HELP_LEAF = leaf("help", "Show help for bpfman or for one command.", about, (its) => its.help.classic);

/** The command that `--version` runs. */
export const VERSION_LINE_LEAF = leaf(
  "version",
  "Print the version of bpfman on one line.",
  about,
  (its) => its.versionLine.classic,
);

const LOAD: Group = {
  name: "load",
  summary: "Load eBPF programs into the kernel.",
  children: [
    leaf("file", "Load eBPF programs from an object file.", loading, (its) => its.loadFile.classic),
    leaf("image", "Load eBPF programs from an OCI image.", loading, (its) => its.loadImage.classic),
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
    leaf("programs", "List loaded programs.", programList, (its) => its.listPrograms.classic, { aliases: ["program"] }),
    leaf("links", "List links: which program is attached where.", linkList, (its) => its.listLinks.classic, {
      aliases: ["link"],
    }),
  ],
};

const GET: Group = {
  name: "get",
  summary: "Show one program or link in detail.",
  children: [
    leaf("program", "Show one program in detail.", oneProgram, (its) => its.getProgram.classic),
    leaf("link", "Show one link in detail.", oneLink, (its) => its.getLink.classic),
  ],
};

const IMAGE: Group = {
  name: "image",
  summary: "Pull, inspect, verify and build eBPF bytecode images.",
  children: [
    leaf("pull", "Pull an eBPF bytecode image into the local cache.", registry, (its) => its.pullImage.classic),
    leaf("inspect", "Show what an image in a registry contains.", registry, (its) => its.inspectImage.noun, {
      grammar: "noun",
    }),
    leaf("verify", "Verify the signatures of an image in a registry.", registry, (its) => its.verifyImage.noun, {
      grammar: "noun",
    }),
    leaf(
      "build",
      "Build an eBPF bytecode image and push it to a registry.",
      imageBuild,
      (its) => its.buildImage.classic,
    ),
    leaf(
      "generate-build-args",
      "Print the build arguments for a bytecode image.",
      imageBuild,
      (its) => its.generateBuildArgs.classic,
    ),
  ],
};

// The noun-verb grammar of newer bpfman. None of these groups' names is a classic command.

const PROGRAM_LOAD: Group = {
  name: "load",
  summary: "Load eBPF programs from an object file or an image.",
  otherwise: { child: "file", takesWord: true },
  children: [
    leaf("file", "Load eBPF programs from an object file.", loading, (its) => its.loadFile.noun),
    leaf("image", "Load eBPF programs from an OCI image.", loading, (its) => its.loadImage.noun),
  ],
};

const PROGRAM: Group = {
  name: "program",
  summary: "Load, show and remove eBPF programs.",
  grammar: "noun",
  otherwise: { child: "list" },
  children: [
    PROGRAM_LOAD,
    leaf("unload", "Unload programs after detaching their links.", removal, (its) => its.unload.noun),
    leaf("get", "Show one program in detail.", oneProgram, (its) => its.getProgram.noun),
    leaf("list", "List programs.", programList, (its) => its.listPrograms.noun),
    leaf("delete", "Delete programs together with their links.", removal, (its) => its.deletePrograms.noun),
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
    leaf("detach", "Detach links from their hooks.", removal, (its) => its.detach.noun),
    leaf("get", "Show one link in detail.", oneLink, (its) => its.getLink.noun),
    leaf("list", "List links.", linkList, (its) => its.listLinks.noun),
    leaf(
      "update",
      "Change the priority or proceed-on of a live XDP or TC link.",
      () => import("./attach/update.ts"),
      (its) => its.updateLink.noun,
    ),
    leaf("delete", "Delete links, and any program left without one.", removal, (its) => its.deleteLinks.noun),
  ],
};

const DISPATCHER: Group = {
  name: "dispatcher",
  summary: "Show and remove chains of XDP and TC programs on one hook.",
  grammar: "noun",
  otherwise: { child: "list" },
  children: [
    leaf("list", "List the hooks on which bpfman runs a chain.", dispatcher, (its) => its.listDispatchers.noun),
    leaf("get", "Show the dispatcher of a hook and its members in order.", dispatcher, (its) => its.getDispatcher.noun),
    leaf(
      "delete",
      "Detach a whole chain from its hook; its programs stay loaded.",
      dispatcher,
      (its) => its.deleteDispatcher.noun,
    ),
  ],
};

export const ROOT: Group = {
  name: "bpfman",
  summary: "Load, attach and manage eBPF programs.",
  examples: {
    "Load a program": "bpfman load file --path counter.o --programs tcx:count",
    "Find its ID": "bpfman list programs",
    "Attach it by that ID": "bpfman attach 63178 tcx --direction ingress --iface eth0 --priority 50",
    "Attach it with the noun-verb grammar": "bpfman link attach tcx 63178 eth0 ingress --priority 50",
    "Detach and unload it": "bpfman unload 63178",
    "Enable tab completion of commands, IDs and names": "source <(bpfman completions bash)",
  },
  children: [
    LOAD,
    leaf("unload", "Unload programs after detaching their links.", removal, (its) => its.unload.classic),
    ATTACH,
    leaf("detach", "Detach links from their hooks.", removal, (its) => its.detach.classic),
    LIST,
    GET,
    PROGRAM,
    LINK,
    DISPATCHER,
    IMAGE,
    leaf("doctor", "Find what is not as bpfman recorded it.", doctor, (its) => its.doctor.classic),
    leaf("repair", "Repair what doctor finds.", doctor, (its) => its.repair.classic),
    leaf("rpc", "Serve all operations as JSON-RPC 2.0 over stdio.", about, (its) => its.rpc.classic),
    leaf("version", "Print the versions of bpfman, Bun, libbpf and the kernel.", about, (its) => its.version.classic),
    leaf(
      "man",
      "Write the manual pages.",
      () => import("./about/man.ts"),
      (its) => its.man.classic,
      { hidden: true },
    ),
    leaf(
      "completions",
      "Print or write shell completions.",
      () => import("./complete/completions.ts"),
      (its) => its.completions.classic,
      { hidden: true },
    ),
    leaf(
      "__complete",
      "List candidates at the cursor; shell completions call this.",
      () => import("./complete/complete.ts"),
      (its) => its.complete.classic,
      { hidden: true },
    ),
    HELP_LEAF,
  ],
};
