/**
 * The tree of commands with both grammars. It contains only names and summaries; a command is loaded to run or describe
 * it.
 */
import type { AttachKind } from "../domain/kinds.ts";
import type { defineCommand, Group, Leaf, Node } from "./command.ts";
import { PROGRAM_ID } from "./fields.ts";

type Defined<Name extends string> = { readonly [Each in Name]: ReturnType<typeof defineCommand> };

/** Creates leaves of a grammar. Their file is loaded to run or describe the command that it exports under that name. */
const leavesOf =
  (grammar: "classic" | "noun") =>
  <Name extends string>(
    name: string,
    summary: string,
    file: () => Promise<Defined<Name>>,
    command: Name,
    more: Partial<Leaf> = {},
  ): Leaf => ({ name, summary, ...more, load: async () => (await file())[command][grammar] });

/** A group whose children are made when they are looked at first: a command line passes through few groups. */
function groupOf(facts: Omit<Group, "children">, make: () => readonly Node[]): Group {
  let made: readonly Node[] | null = null;
  return {
    ...facts,
    get children() {
      made ??= make();
      return made;
    },
  };
}

const classic = leavesOf("classic");
const noun = leavesOf("noun");

// Files of several commands.
const about = () => import("./about/about.ts");
const applying = () => import("./apply/apply.ts");
const checking = () => import("./check/check.ts");
const doctor = () => import("./doctor/doctor.ts");
const dispatcher = () => import("./dispatcher/dispatcher.ts");
const oneLink = () => import("./get/link.ts");
const oneProgram = () => import("./get/program.ts");
const imageBuild = () => import("./image/build.ts");
const following = () => import("./map/events.ts");
const registry = () => import("./image/registry.ts");
const lists = () => import("./list/list.ts");
const loading = () => import("./load/load.ts");
const maps = () => import("./map/map.ts");
const network = () => import("./attach/network.ts");
const stats = () => import("./stats/stats.ts");
const removal = () => import("./remove/remove.ts");
const tracing = () => import("./attach/tracing.ts");

const hooksByKind = (): {
  readonly [Kind in AttachKind]: readonly [() => Promise<{ readonly HOOKS: Defined<Kind> }>, summary: string];
} => ({
  xdp: [network, "Attach an XDP program to a network interface."],
  tc: [network, "Attach a TC program to one direction of a network interface."],
  tcx: [network, "Attach a TCX program to one direction of a network interface."],
  tracepoint: [tracing, "Attach a program to a tracepoint."],
  kprobe: [tracing, "Attach a kprobe or kretprobe program to a kernel function."],
  uprobe: [tracing, "Attach a uprobe or uretprobe program to a binary or library."],
  fentry: [tracing, "Attach an fentry program to the function it was loaded for."],
  fexit: [tracing, "Attach an fexit program to the function it was loaded for."],
  lsm: [tracing, "Attach an LSM program to the hook it was loaded for."],
  raw_tp: [tracing, "Attach a program to a raw tracepoint."],
  tp_btf: [tracing, "Attach a tp_btf program to the tracepoint it was loaded for."],
  fmod_ret: [tracing, "Attach an fmod_ret program to the function it was loaded for."],
  iter: [tracing, "Attach an iterator, whose output `bpfman iter` prints."],
  freplace: [tracing, "Replace the function of a loaded program that an freplace program was loaded for."],
  perf_event: [tracing, "Attach a program to a counter of the kernel or the processor."],
  "kprobe.multi": [tracing, "Attach a program to all kernel functions that a pattern matches."],
  "uprobe.multi": [tracing, "Attach a program to all functions of a binary that a pattern matches."],
  cgroup: [network, "Attach a program to a cgroup, for its processes and those of the cgroups below."],
  sk_lookup: [network, "Attach an sk_lookup program to a network namespace."],
  netfilter: [network, "Attach a netfilter program to a hook of a network namespace."],
});

/** A leaf per hook that a program can be attached to. */
const hooks = (grammar: "classic" | "noun"): Leaf[] =>
  Object.entries(hooksByKind()).map(([name, [file, summary]]) => ({
    name,
    summary,
    load: async () => ((await file()).HOOKS as Defined<AttachKind>)[name as AttachKind][grammar],
  }));

const loads = (leaf: typeof classic): Leaf[] => [
  leaf("file", "Load eBPF programs from an object file.", loading, "loadFile"),
  leaf("image", "Load eBPF programs from an OCI image.", loading, "loadImage"),
];

const LOAD = groupOf(
  {
    name: "load",
    summary: "Load eBPF programs into the kernel.",
  },
  () => loads(classic),
);

const ATTACH = groupOf(
  {
    name: "attach",
    summary: "Attach a loaded program to a hook.",
    args: [PROGRAM_ID],
    completes: "attach-kind",
  },
  () => hooks("classic"),
);

const LIST = groupOf(
  {
    name: "list",
    summary: "List programs or links.",
  },
  () => [
    classic("programs", "List loaded programs.", lists, "listPrograms", { aliases: ["program"] }),
    classic("links", "List links: which program is attached where.", lists, "listLinks", { aliases: ["link"] }),
  ],
);

const GET = groupOf(
  {
    name: "get",
    summary: "Show one program or link in detail.",
  },
  () => [
    classic("program", "Show one program in detail.", oneProgram, "getProgram"),
    classic("link", "Show one link in detail.", oneLink, "getLink"),
  ],
);

const IMAGE = groupOf(
  {
    name: "image",
    summary: "Pull, list, inspect, verify and build eBPF bytecode images.",
  },
  () => [
    classic("pull", "Pull an eBPF bytecode image into the local cache.", registry, "pullImage"),
    classic("list", "List the images in the local cache.", registry, "listImages"),
    classic("prune", "Remove images from the local cache that nothing uses.", registry, "pruneImages"),
    noun("inspect", "Show what an image in a registry contains.", registry, "inspectImage", { grammar: "noun" }),
    noun("verify", "Verify the signatures of an image in a registry.", registry, "verifyImage", { grammar: "noun" }),
    classic("build", "Build an eBPF bytecode image and push it to a registry.", imageBuild, "buildImage"),
    classic("generate-build-args", "Print the build arguments for a bytecode image.", imageBuild, "generateBuildArgs"),
  ],
);

const EVENTS = classic("events", "Print the events that a program reports, as they come.", following, "events");

const MAP = groupOf(
  {
    name: "map",
    summary: "Show and change maps and their entries.",
    otherwise: { child: "list" },
  },
  () => [
    classic("list", "List the maps of bpfman's programs.", maps, "listMaps"),
    classic("get", "Show one map: its types, size, pins and programs.", maps, "getMap"),
    classic("dump", "Print all entries of a map.", maps, "dumpMap"),
    classic("lookup", "Print one entry of a map.", maps, "lookupMap"),
    classic("update", "Write one entry of a map.", maps, "updateMap"),
    classic("delete", "Delete one entry of a map.", maps, "deleteEntry"),
    classic("clear", "Delete all entries of a map.", maps, "clearMap"),
    EVENTS,
  ],
);

// The noun-verb grammar of newer bpfman. None of these groups' names is a classic command.

const PROGRAM = groupOf(
  {
    name: "program",
    summary: "Load, show and remove eBPF programs.",
    grammar: "noun",
    otherwise: { child: "list" },
  },
  () => [
    groupOf(
      {
        name: "load",
        summary: "Load eBPF programs from an object file or an image.",
        otherwise: { child: "file", takesWord: true },
      },
      () => loads(noun),
    ),
    noun(
      "replace",
      "Put new programs in the place of loaded ones, under the same links.",
      () => import("./load/replace.ts"),
      "replaceProgram",
    ),
    noun("unload", "Unload programs after detaching their links.", removal, "unload"),
    noun("get", "Show one program in detail.", oneProgram, "getProgram"),
    noun("list", "List programs.", lists, "listPrograms"),
    noun("delete", "Delete programs together with their links.", removal, "deletePrograms"),
  ],
);

const LINK = groupOf(
  {
    name: "link",
    summary: "Attach programs to hooks; show, change and remove the links.",
    grammar: "noun",
    otherwise: { child: "list" },
  },
  () => [
    groupOf({ name: "attach", summary: "Attach a loaded program to a hook." }, () => hooks("noun")),
    noun("detach", "Detach links from their hooks.", removal, "detach"),
    noun("get", "Show one link in detail.", oneLink, "getLink"),
    noun("list", "List links.", lists, "listLinks"),
    noun("read", "Print what the program of an iterator link writes.", () => import("./get/iter.ts"), "readIterator"),
    noun("update", "Change the priority or proceed-on of a live XDP or TC link.", network, "updateLink"),
    noun("delete", "Delete links, and any program left without one.", removal, "deleteLinks"),
  ],
);

const DISPATCHER = groupOf(
  {
    name: "dispatcher",
    summary: "Show and remove chains of XDP and TC programs on one hook.",
    grammar: "noun",
    otherwise: { child: "list" },
  },
  () => [
    noun("list", "List the hooks on which bpfman runs a chain.", dispatcher, "listDispatchers"),
    noun("get", "Show the dispatcher of a hook and its members in order.", dispatcher, "getDispatcher"),
    noun("delete", "Detach a whole chain from its hook; its programs stay loaded.", dispatcher, "deleteDispatcher"),
  ],
);

export const ROOT: Group = {
  name: "bpfman",
  summary: "Load, attach and manage eBPF programs.",
  examples: {
    "Load and attach a program in one step": "bpfman run counter.o tcx:count -i eth0 -d ingress -p 50",
    "Load a program": "bpfman load file --path counter.o --programs tcx:count",
    "Find its ID": "bpfman list programs",
    "Attach it by that ID": "bpfman attach 63178 tcx --direction ingress --iface eth0 --priority 50",
    "Attach it with the noun-verb grammar": "bpfman link attach tcx 63178 eth0 ingress --priority 50",
    "Detach and unload it": "bpfman unload 63178",
    "Enable tab completion of commands, IDs and names": "source <(bpfman completions bash)",
  },
  children: [
    LOAD,
    classic("run", "Load programs and attach them, in one step.", () => import("./load/run.ts"), "run"),
    classic("unload", "Unload programs after detaching their links.", removal, "unload"),
    ATTACH,
    classic("detach", "Detach links from their hooks.", removal, "detach"),
    LIST,
    GET,
    classic(
      "iter",
      "Print what the program of an iterator link writes.",
      () => import("./get/iter.ts"),
      "readIterator",
    ),
    MAP,
    PROGRAM,
    LINK,
    DISPATCHER,
    IMAGE,
    EVENTS,
    classic("trace", "Print what programs print with bpf_printk, as it comes.", following, "trace"),
    classic("watch", "Print what bpfman changes on this host, as it happens.", following, "watch"),
    classic("check", "Check whether this kernel's verifier accepts programs, and at what cost.", checking, "check"),
    classic("inspect", "Show what an object file or an image contains.", () => import("./check/inspect.ts"), "inspect"),
    classic(
      "history",
      "Show what bpfman did: when, for whom, with which result.",
      () => import("./list/history.ts"),
      "history",
    ),
    classic("apply", "Make this host match documents, changing only what is different.", applying, "apply"),
    classic("export", "Print a document that describes what is loaded and attached.", applying, "exportState"),
    classic("doctor", "Find what is not as bpfman recorded it.", doctor, "doctor"),
    classic("repair", "Repair what doctor finds.", doctor, "repair"),
    classic(
      "restore",
      "Load and attach again what was there before a reboot.",
      () => import("./restore/restore.ts"),
      "restore",
    ),
    classic("stats", "Count how often programs run, how long, and what they cost.", stats, "stats"),
    classic("top", "Show what programs cost on a screen, until you quit.", stats, "top"),
    classic("metrics", "Print or write metrics for Prometheus.", () => import("./stats/metrics.ts"), "metrics"),
    classic("lsp", "Serve editors: compile and check sources as they are saved.", about, "lsp"),
    classic("rpc", "Serve all operations as JSON-RPC 2.0 over stdio.", about, "rpc"),
    classic("serve", "Serve bpfman.v1 over gRPC, for bpfman-operator.", () => import("./about/serve.ts"), "serve"),
    classic("version", "Print the versions of bpfman, Bun, libbpf and the kernel.", about, "version"),
    classic("man", "Write the manual pages.", () => import("./about/man.ts"), "man", { hidden: true }),
    classic(
      "completions",
      "Print or write shell completions.",
      () => import("./complete/completions.ts"),
      "completions",
      { hidden: true },
    ),
    classic(
      "__complete",
      "List candidates at the cursor; shell completions call this.",
      () => import("./complete/complete.ts"),
      "complete",
      { hidden: true },
    ),
    classic("help", "Show help for bpfman or for one command.", about, "help"),
  ],
  version: classic("version", "Print the version of bpfman on one line.", about, "versionLine"),
};
