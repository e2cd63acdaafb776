/**
 * Suggests the right command for what users of other tools type. Only consulted when a command line could not be
 * parsed, so patterns may be broad.
 */

import { PROGRAM_TYPES } from "../domain/kinds.ts";

/** The pattern is matched against the words of the line, joined by spaces, without options before the first word. */
type Habit = readonly [typed: RegExp, instead: string];

const LOAD_AND_ATTACH = (type: string): string =>
  `type "bpfman load file --path OBJECT --programs ${type}:NAME", then "bpfman attach ID ${type} ${
    type === "xdp" ? "" : "--direction ingress "
  }--iface IFACE --priority 50"`;
const FIND_AND_DETACH = 'type "bpfman list links" to find the id, then "bpfman detach LINK_ID"';
const LINK_ID = `give an id: "bpfman list links" shows what is attached where; "bpfman detach LINK_ID" detaches it`;
const NO_DAEMON = 'bpfman needs no daemon; "bpfman rpc" serves one parent process over stdio';
const NOTHING_TO_CLEAN =
  'no cleanup is needed: the next command that changes something removes any leftovers; "bpfman program delete --all" removes everything that bpfman loaded';
const KIND = `(${PROGRAM_TYPES.join("|")})`;

/** bpftool accepts abbreviated objects and commands. */
const ofBpftool = (): Habit[] => [
  [
    /^p(r|ro|rog)? (dump|tracelog|profile|run|pin)\b/,
    "use bpftool, which works on bpfman's programs too: they are pinned as /run/bpfman/fs/prog_ID",
  ],
  [
    /^p(r|ro|rog)? load(all)?\b/,
    'type "bpfman load file --path OBJECT --programs TYPE:NAME", then "bpfman attach ID KIND"',
  ],
  [
    /^p(r|ro|rog)? (at|de)tach\b/,
    'type "bpfman attach ID KIND" or "bpfman detach LINK_ID"; for sockets and socket maps use bpftool',
  ],
  [
    /^p(r|ro|rog)?( |$)/,
    'type "bpfman list programs --all" for every program in the kernel, "bpfman get program ID" for one',
  ],
  [
    /^n(et?)? attach\b/,
    'type "bpfman attach ID xdp --iface IFACE --priority 50", or "bpfman attach ID KIND" for another hook',
  ],
  [/^n(et?)? detach\b/, FIND_AND_DETACH],
  [/^n(et?)?( |$)/, 'type "bpfman list links" for what bpfman attached, "bpfman dispatcher list" for its chains'],
  [
    /^m(ap?)? (?!(sh?o?w?|li?s?t?|help)( |$))[a-z]/,
    'use bpftool, which works on bpfman\'s maps too: "bpftool map dump pinned MAP_PIN_PATH/NAME"; "bpfman get program ID" shows the path',
  ],
  [/^m(ap?)?( |$)/, 'type "bpfman get program ID" for the maps of a program; "bpftool map" lists and reads all maps'],
  [/^l(i|in|ink)? (show|dump|list (id|pinned))\b/, 'type "bpfman list links", or "bpfman get link LINK_ID" for one'],
  [
    /^l(i|in|ink)? pin\b/,
    'every link of bpfman is pinned: "bpfman get link LINK_ID -o json" shows its pin_path; use bpftool to pin other links',
  ],
  [/^l(i|in|ink)? detach (id|pinned)\b/, 'type "bpfman detach LINK_ID", with an id from "bpfman list links"'],
  [/^f(eature)?( probe)?( |$)/, 'type "bpfman version -o json", which probes the features of this kernel'],
  [/^cgroup( |$)/, "bpfman does not attach to cgroups; use bpftool"],
  [/^perf( |$)/, 'type "bpfman list links" for bpfman\'s probes and tracepoints; "bpftool perf" shows all'],
  [/^batch( |$)/, 'put the commands into a script, or send them to one "bpfman rpc"'],
  [/^(btf|iter|gen|struct_ops|token)( |$)/, "use bpftool for that"],
];

const ofXdpLoader = (): Habit[] => [
  [/^status\b/, 'type "bpfman list links --program-type xdp"; "bpfman dispatcher list --type xdp" shows the chains'],
  [/^clean\b/, NOTHING_TO_CLEAN],
  [
    /^features\b/,
    'type "bpfman version -o json" for the features of the kernel; xdp-loader shows those of the network card',
  ],
  [/^load (?!file |image ).*\.o( |$)/, LOAD_AND_ATTACH("xdp")],
  [/^unload (-a|--all)$/, 'type "bpfman program delete --all"'],
  [
    /^unload (.* )?(-a|--all)( |$)/,
    'type "bpfman dispatcher delete xdp NSID IFINDEX", as "bpfman dispatcher list" shows them, or "bpfman detach LINK_ID" for one program',
  ],
  [/^unload (-\S+ )*[A-Za-z]/, LINK_ID],
];

const ofIproute2 = (): Habit[] => [
  [/^(ip )?link set .*\bxdp\S* (off|none)\b/, FIND_AND_DETACH],
  [/^(ip )?link set\b/, LOAD_AND_ATTACH("xdp")],
  [/^ip\b/, 'type "bpfman list links --program-type xdp" for the programs on interfaces'],
  [/^(tc )?qdisc\b/, "not needed: attaching a tc program adds the clsact qdisc if it is missing"],
  [
    /^(tc )?filter (show|list|ls|get)\b/,
    'type "bpfman list links --program-type tc"; "bpfman dispatcher list" shows the chains',
  ],
  [/^(tc )?filter (del|delete|flush)\b/, FIND_AND_DETACH],
  [/^(tc )?filter\b/, LOAD_AND_ATTACH("tc")],
];

/** Versions before 0.6 attached with `load`; the later implementation in Go has more commands. */
const ofOtherBpfmans = (): Habit[] => [
  [
    /^load (file|image) .* (--name|-n)[ =]/,
    `loading and attaching are separate commands: "bpfman load file --path OBJECT --programs TYPE:NAME", then "bpfman attach ID KIND"`,
  ],
  [/^get \d+$/, 'type "bpfman get program ID" or "bpfman get link LINK_ID"'],
  [/^list -/, 'type "bpfman list programs" or "bpfman list links", followed by the options'],
  [/^load-from-file\b/, 'type "bpfman load file"'],
  [/^load-from-image\b/, 'type "bpfman load image"'],
  [/^pull-bytecode\b/, 'type "bpfman image pull"'],
  [/^(serve|system|service|daemon|start|stop)\b/, NO_DAEMON],
  [/^(gc|doctor|audit|repair|prune)\b/, NOTHING_TO_CLEAN],
];

/** Words of one bpfman grammar used in the other. */
const ofTheOtherGrammar = (): Habit[] => [
  [/^link attach \d+ /, 'the kind comes first: "bpfman link attach KIND ID ..."; or type "bpfman attach ID KIND"'],
  [
    /^link attach [a-z]+ [^\d\s-]\S* \d+( |$)/,
    'the program\'s id comes before the place: "bpfman link attach KIND ID PLACE"',
  ],
  [
    /^link attach .* (-[idt]|--(iface|direction|tracepoint|target))( |=|$)/,
    'here, places are words, not options: "bpfman link attach tc ID IFACE DIRECTION", "bpfman link attach uprobe ID TARGET"',
  ],
  [/^link attach kprobe .* (-f|--fn-name)( |=|$)/, 'type "bpfman link attach kprobe ID FUNCTION"'],
  [
    RegExp(`^attach ${KIND} `),
    'the id comes first: "bpfman attach ID KIND ..."; or type "bpfman link attach KIND ID ..."',
  ],
  [
    /^attach \d+ (xdp|tcx?) [^-]/,
    'here, places are options: "bpfman attach ID xdp --iface IFACE --priority 50"; "bpfman link attach KIND ID PLACE" takes words',
  ],
  [
    /^attach \d+ (-[idptfn]|--(iface|direction|priority|tracepoint|fn-name|target|netns|proceed-on))[ =]/,
    'the kind comes before its options: "bpfman attach ID KIND ..."',
  ],
  [
    /^program load (?!image ).*(?<= )(-p|--path)( |=|$)/,
    'here, the file is a word, not an option: "bpfman program load file PATH --programs TYPE:NAME"',
  ],
  [
    /^program load .*(?<= )(-i|--image-url)( |=|$)/,
    'here, the image is a word, not an option: "bpfman program load image IMAGE --programs TYPE:NAME"',
  ],
  [/^program (at|de)tach\b/, 'type "bpfman link attach KIND ID ..." or "bpfman link detach LINK_ID"'],
  [/^link (un)?load\b/, 'type "bpfman program load file PATH --programs TYPE:NAME" or "bpfman program unload ID"'],
  [/^image load\b/, 'type "bpfman program load image IMAGE --programs TYPE:NAME"'],
  [/^list (dispatchers?|chains?)\b/, 'type "bpfman dispatcher list"'],
  [
    /^get (dispatcher|chain)\b/,
    'type "bpfman dispatcher get TYPE NSID IFINDEX", as "bpfman dispatcher list" shows them',
  ],
  [/^(program|link|dispatcher) show\b/, 'type "get" with an id, or "list"'],
];

/** Words common to many tools. */
const ofAnyTool = (): Habit[] => [
  [/^(show|ls|ps)( |$)/, 'type "bpfman list programs" or "bpfman list links"'],
  [
    /^(info|inspect|describe)( |$)/,
    'type "bpfman get program ID", "bpfman get link LINK_ID" or "bpfman image inspect IMAGE"',
  ],
  [/^(rm|remove|delete)( |$)/, 'type "bpfman unload ID", "bpfman detach LINK_ID" or "bpfman program delete ID"'],
  [
    /^(top|stats)( |$)/,
    'type "bpfman get program ID -o json": it shows run time and count if sysctl kernel.bpf_stats_enabled is 1',
  ],
  [
    /^(logs?|trace)( |$)/,
    '"bpftool prog tracelog" shows what programs print; "--log-level debug" shows what bpfman does',
  ],
  [/^config( |$)/, "the configuration is /etc/bpfman/bpfman.toml, or the file given with --config"],
  [/^completion( |$)/, 'type "bpfman completions SHELL"'],
  [RegExp(`^${KIND}( |$)`), 'type "bpfman attach ID KIND", or "bpfman list links --program-type TYPE"'],
  [/^pull( |$)/, 'type "bpfman image pull --image-url IMAGE"'],
  [/^(push|build)( |$)/, 'type "bpfman image build", which also pushes'],
  [/^verify( |$)/, 'type "bpfman image verify IMAGE"'],
  [/^sign( |$)/, 'sign with cosign; type "bpfman image verify IMAGE" to check signatures'],
  [/^image (push|sign)\b/, '"bpfman image build" also pushes the image; sign it with cosign'],
  [
    /^(images( |$)|(list|get) images?\b|image (list|ls|rm|remove|delete|prune)\b)/,
    'type "bpfman image inspect IMAGE" for an image in a registry; pulled images are in /var/cache/bpfman and can be deleted',
  ],
  [
    /^(link )?(detach|delete)\b.* (-a|--all)( |$)/,
    'type "bpfman dispatcher delete TYPE NSID IFINDEX" for all links of a hook, "bpfman program delete --all" for everything; "bpfman link list -q" prints the ids for "bpfman detach LINK_ID"',
  ],
  [/^program unload\b.* (-a|--all)( |$)/, 'type "bpfman program delete --all"'],
  [
    /^list programs?\b.* (-t|--types?)( |=|$)/,
    'type "bpfman list programs --program-type TYPE", or "bpfman program list --type TYPE", which takes several types',
  ],
  [/^list links?\b.* (-t|--types?|--kinds?)( |=|$)/, 'type "bpfman link list --kind TYPE"'],
  [/^list programs?\b.* (-q|--quiet)( |$)/, 'type "bpfman program list -q"'],
  [/^list programs?\b.* (--(un)?attached|-l|--selector)( |=|$)/, 'type "bpfman program list", followed by that option'],
  [/^list links?\b.* (-q|--quiet)( |$)/, 'type "bpfman link list -q"'],
  [/^list links?\b.* --program-id( |=|$)/, 'type "bpfman link list --program-id ID"'],
  [/^(list|get) maps?\b/, 'maps belong to programs: "bpfman get program ID" shows them, "bpftool map" reads them'],
  [
    /^((list links?|link list|link) .*(-i|--iface|--interface|--dev|dev)( |$)|list links? \w)/,
    'type "bpfman list links" and look at the Attachment column; with "-o json" it is .links[].details.interface',
  ],
  [
    /^(unload|detach|\w+ (unload|detach|delete))\b.* (-f|--force)\b/,
    'there is no need to force anything; "--ignore-missing" ignores ids that do not exist',
  ],
];

/** Options that no command has, anywhere on the line. */
const ofOptions = (): Habit[] => [
  [/^ (-\S+ )*--(csi-support|socket-path)\b/, NO_DAEMON],
  [/ (-j|-jp|--json|--pretty)( |$)/, 'for JSON, type "-o json"'],
  [/^ -v$/, 'type "--version" for the version, "--log-level debug" for more output'],
  [/ (-vv?|--verbose|--debug)( |$)/, 'type "--log-level debug"'],
];

/** bpfman's own global options and their values, which can be anywhere. */
const GLOBAL =
  / (-o|--(output|runtime-dir|state-dir|(image-)?cache-dir|config|ca-file|lock-timeout|log(-level)?|error-format))[ =]\S+/g;

/** Returns what to type instead of an unparsable line; null if no pattern matches. */
export function insteadOf(args: readonly string[]): string | null {
  const line = ` ${args.join(" ")}`.replaceAll(GLOBAL, "").trimStart();
  const words = line.replace(/^(-\S+ )+/, "");
  const tools = [ofBpftool, ofXdpLoader, ofIproute2, ofOtherBpfmans, ofTheOtherGrammar, ofAnyTool];
  const habit = tools.flatMap((habits) => habits()).find(([typed]) => typed.test(words));
  const option = ofOptions().find(([typed]) => typed.test(` ${line}`));
  if (habit === undefined && option === undefined) return null;
  return [habit, option].flatMap((found) => found?.[1] ?? []).join("; ");
}
