/**
 * Suggests the right command for what users of other tools type. Only consulted when a command line could not be
 * parsed, or names what is not there, so patterns may be broad.
 */

import { ATTACHABLE_TYPES, factsOf } from "../domain/kinds.ts";

/**
 * What is typed, by what to type instead. A pattern is matched against the words of the line, joined by spaces, without
 * options before the first word.
 */
type Habits = Readonly<Record<string, RegExp>>;

const LOAD_AND_ATTACH = (type: string): string =>
  `type "bpfman run OBJECT ${type}:NAME ${type === "xdp" ? "" : "--direction ingress "}--iface IFACE --priority 50"`;
const LOAD_THEN_ATTACH = '"bpfman load file --path OBJECT --programs TYPE:NAME", then "bpfman attach ID KIND"';
const FIND_AND_DETACH = 'type "bpfman list links" to find the id, then "bpfman detach LINK_ID"';
const LINK_ID = `for an interface, "bpfman list links" shows what is attached where, and "bpfman detach LINK_ID" detaches it`;
const NO_DAEMON =
  'bpfman needs no daemon: commands work without one; "bpfman rpc" serves one parent process over stdio, "bpfman serve" bpfman-operator';
const NOTHING_TO_CLEAN =
  'no cleanup is needed: the next command that changes something removes any leftovers; "bpfman program delete --all" removes everything that bpfman loaded';
const KIND = `(${ATTACHABLE_TYPES.join("|").replaceAll(".", "\\.")})`;

/** bpftool accepts abbreviated objects and commands. */
const BPFTOOL: Habits = {
  "use bpftool, which works on bpfman's programs too: they are pinned as /run/bpfman/fs/prog_ID":
    /^p(r|ro|rog)? (dump|profile|run|pin)\b/,
  'type "bpfman trace"': /^p(r|ro|rog)? tracelog\b/,
  [`type ${LOAD_THEN_ATTACH}`]: /^p(r|ro|rog)? load(all)?\b/,
  'type "bpfman attach ID KIND" or "bpfman detach LINK_ID"; for sockets and socket maps use bpftool':
    /^p(r|ro|rog)? (at|de)tach\b/,
  'type "bpfman list programs --all" for every program in the kernel, "bpfman get program ID" for one':
    /^p(r|ro|rog)?( |$)/,
  'type "bpfman attach ID xdp --iface IFACE --priority 50", or "bpfman attach ID KIND" for another hook':
    /^n(et?)? attach\b/,
  [FIND_AND_DETACH]: /^(n(et?)?|cgroup) detach\b/,
  'type "bpfman list links" for what bpfman attached, "bpfman dispatcher list" for its chains': /^n(et?)?( |$)/,
  'type "bpfman map get MAP" for one map, "bpfman map list --all" for all': /^m(ap?)? (sh?o?w?)( |$)/,
  'type "bpfman map lookup QUEUE" for the next value, which stays there; "bpfman map clear QUEUE" takes all out':
    /^m(ap?)? (peek|pop|dequeue|getnext)( |$)/,
  'type "bpfman map update QUEUE VALUE"': /^m(ap?)? (push|enqueue)( |$)/,
  "use bpftool for that; bpfman pins the maps of its programs": /^m(ap?)? (pin|create|freeze)( |$)/,
  'type "bpfman map events MAP"': /^m(ap?)? event_pipe( |$)/,
  'here, a map is one word, without "id", "pinned" or "name", and so are a key and a value: "bpfman map lookup 12 0"':
    /^m(ap?)? [a-z]+ (id|pinned|name) /,
  'type "bpfman map"': /^m(a)? /,
  'type "bpfman list links", or "bpfman get link LINK_ID" for one': /^l(i|in|ink)? (show|dump|list (id|pinned))\b/,
  'every link of bpfman is pinned: "bpfman get link LINK_ID -o json" shows its pin_path; use bpftool to pin other links':
    /^l(i|in|ink)? pin\b/,
  'type "bpfman detach LINK_ID", with an id from "bpfman list links"': /^l(i|in|ink)? detach (id|pinned)\b/,
  'type "bpfman version -o json", which probes the features of this kernel': /^f(eature)?( probe)?( |$)/,
  'type "bpfman attach ID cgroup --cgroup PATH": the program\'s section says what it is attached as':
    /^cgroup attach\b/,
  'type "bpfman list links" for what bpfman attached; "bpftool cgroup show PATH" shows all': /^cgroup( |$)/,
  'type "bpfman list links" for bpfman\'s probes and tracepoints; "bpftool perf" shows all': /^perf( |$)/,
  'put the commands into a script, or send them to one "bpfman rpc"': /^batch( |$)/,
  'load and attach the program, then type "bpfman iter LINK_ID"': /^iter pin\b/,
  "use bpftool for that": /^(btf|gen|struct_ops|token)( |$)/,
};

const XDP_LOADER: Habits = {
  'type "bpfman list links --program-type xdp"; "bpfman dispatcher list --type xdp" shows the chains': /^status\b/,
  [NOTHING_TO_CLEAN]: /^clean\b/,
  'type "bpfman version -o json" for the features of the kernel; xdp-loader shows those of the network card':
    /^features\b/,
  [LOAD_AND_ATTACH("xdp")]: /^load (?!file |image ).*\.o( |$)/,
  'type "bpfman program delete --all"': /^(unload (-a|--all)$|program unload\b.* (-a|--all)( |$))/,
  'type "bpfman dispatcher delete xdp NSID IFINDEX", as "bpfman dispatcher list" shows them, or "bpfman detach LINK_ID" for one program':
    /^unload (.* )?(-a|--all)( |$)/,
  [LINK_ID]: /^unload (-\S+ )*[A-Za-z]/,
};

const IPROUTE2: Habits = {
  [FIND_AND_DETACH]: /^((ip )?link set .*\bxdp\S* (off|none)|(tc )?filter (del|delete|flush))\b/,
  [LOAD_AND_ATTACH("xdp")]: /^(ip )?link set\b/,
  'type "bpfman list links --program-type xdp" for the programs on interfaces': /^ip\b/,
  "not needed: attaching a tc program adds the clsact qdisc if it is missing": /^(tc )?qdisc\b/,
  'type "bpfman list links --program-type tc"; "bpfman dispatcher list" shows the chains':
    /^(tc )?filter (show|list|ls|get)\b/,
  [LOAD_AND_ATTACH("tc")]: /^(tc )?filter\b/,
};

/** Versions before 0.6 attached with `load`; the later implementation in Go has more commands. */
const OTHER_BPFMANS: Habits = {
  [`to load and attach at once, type "bpfman run OBJECT TYPE:NAME" with the options of "bpfman attach"; separately, ${LOAD_THEN_ATTACH}`]:
    /^load (file|image) .* (--name|-n)[ =]/,
  'type "bpfman get program ID" or "bpfman get link LINK_ID"': /^get \d+$/,
  'type "bpfman list programs" or "bpfman list links", followed by the options': /^list -/,
  'type "bpfman load file"': /^load-from-file\b/,
  'type "bpfman load image"': /^load-from-image\b/,
  'type "bpfman image pull"': /^pull-bytecode\b/,
  [NO_DAEMON]: /^(system|service|daemon|start|stop)\b/,
  'type "bpfman doctor"': /^audit\b/,
  [`${NOTHING_TO_CLEAN}; "bpfman image prune" removes images that nothing uses`]: /^(gc|prune)\b/,
};

/** Types of programs in place of the word to attach, which several types can have. */
const TYPES: Habits = Object.fromEntries(
  ATTACHABLE_TYPES.flatMap((type) => {
    const { attachKind, display } = factsOf(type);
    if (attachKind === type) return [];
    const typed = RegExp(`^(link )?attach (\\d+ )?${type.replaceAll(".", "\\.")}( |$)`);
    return [[`the word for ${display} program is "${attachKind}": see "bpfman help attach ${attachKind}"`, typed]];
  }),
);

/** Words of one bpfman grammar used in the other. */
const OTHER_GRAMMAR: Habits = {
  'the kind comes first: "bpfman link attach KIND ID ..."; or type "bpfman attach ID KIND"': /^link attach \d+ /,
  'the program\'s id comes before the place: "bpfman link attach KIND ID PLACE"':
    /^link attach [a-z]+ [^\d\s-]\S* \d+( |$)/,
  'here, places are words, not options: "bpfman link attach tc ID IFACE DIRECTION", "bpfman link attach uprobe ID TARGET"':
    /^link attach .* (-[idt]|--(iface|direction|tracepoint|target))( |=|$)/,
  'type "bpfman link attach kprobe ID FUNCTION"': /^link attach kprobe .* (-f|--fn-name)( |=|$)/,
  'the id comes first: "bpfman attach ID KIND ..."; or type "bpfman link attach KIND ID ..."': RegExp(
    `^attach ${KIND} `,
  ),
  'here, places are options: "bpfman attach ID xdp --iface IFACE --priority 50"; for places as words: "bpfman link attach KIND ID PLACE"':
    /^attach \d+ (xdp|tcx?) [^-]/,
  'the kind comes before its options: "bpfman attach ID KIND ..."':
    /^attach \d+ (-[idptfn]|--(iface|direction|priority|tracepoint|fn-name|target|netns|proceed-on))[ =]/,
  'here, the file is a word, not an option: "bpfman program load file PATH --programs TYPE:NAME"':
    /^program load (?!image ).*(?<= )(-p|--path)( |=|$)/,
  'here, the image is a word, not an option: "bpfman program load image IMAGE --programs TYPE:NAME"':
    /^program load .*(?<= )(-i|--image-url)( |=|$)/,
  'here, the image is a word, not an option: "bpfman image inspect IMAGE", "bpfman image verify IMAGE"':
    /^image (inspect|verify) (.* )?(-i|--image-url)( |=|$)/,
  'type "bpfman link attach KIND ID ..." or "bpfman link detach LINK_ID"': /^program (at|de)tach\b/,
  'type "bpfman program load file PATH --programs TYPE:NAME" or "bpfman program unload ID"': /^link (un)?load\b/,
  'type "bpfman run OBJECT TYPE:NAME", followed by the options of "bpfman attach"': /^(program run|exec)( |$)/,
  'type "bpfman program load image IMAGE --programs TYPE:NAME"': /^image load\b/,
  'here, programs are words, not options: "bpfman run OBJECT TYPE:NAME ..."': /^run .*--programs?( |=|$)/,
  'here, the file is a word, not an option: "bpfman run OBJECT TYPE:NAME"': /^run (.* )?--path( |=|$)/,
  'type "bpfman dispatcher list"': /^list (dispatchers?|chains?)\b/,
  'type "bpfman dispatcher get TYPE NSID IFINDEX", as "bpfman dispatcher list" shows them': /^get (dispatcher|chain)\b/,
  'type "get" with an id, or "list"': /^(program|link|dispatcher) show\b/,
};

/** Words common to many tools. */
const ANY_TOOL: Habits = {
  'type "bpfman list programs" or "bpfman list links"': /^(show|ls|ps|get (programs|links))( |$)/,
  'type "bpfman get program ID", "bpfman get link LINK_ID" or "bpfman inspect FILE"': /^(info|describe)( |$)/,
  'type "bpfman unload ID", "bpfman detach LINK_ID" or "bpfman program delete ID"': /^(rm|remove|delete)( |$)/,
  '"bpfman history" shows what bpfman did, "--log-level debug" what it does, "bpfman trace" what programs print':
    /^(logs?|printk|trace_pipe|tracelog)( |$)/,
  'type "bpfman events PROGRAM" for what a program reports, "bpfman watch" for what bpfman changes':
    /^(event|tail|subscribe|follow|monitor|ringbuf|perfbuf)( |$)/,
  "the configuration is /etc/bpfman/bpfman.toml, or the file given with --config": /^config( |$)/,
  'type "bpfman program replace ID --path FILE", which keeps links and maps': /^(replace|reload|upgrade|swap)( |$)/,
  'type "bpfman restore --forget link:ID" or "program:ID" for what waits since a reboot': /^forget( |$)/,
  'type "bpfman completions SHELL"': /^completion( |$)/,
  'type "bpfman attach ID KIND", or "bpfman list links --program-type TYPE"': RegExp(`^${KIND}( |$)`),
  'type "bpfman image pull --image-url IMAGE"': /^pull( |$)/,
  'type "bpfman image build", which also pushes': /^(push|build)( |$)/,
  'type "bpfman image verify IMAGE"': /^verify( |$)/,
  'sign with cosign; type "bpfman image verify IMAGE" to check signatures': /^sign( |$)/,
  '"bpfman image build" also pushes the image; sign it with cosign': /^image (push|sign)\b/,
  'type "bpfman image list" for the images in the cache, "bpfman image prune" to remove those that nothing uses':
    /^(images( |$)|(list|get) images?\b|image (ls|rm|remove|delete)\b)/,
  'type "bpfman dispatcher delete TYPE NSID IFINDEX" for all links of a hook, "bpfman program delete --all" for everything; "bpfman link list -q" prints the ids for "bpfman detach LINK_ID"':
    /^(link )?(detach|delete)\b.* (-a|--all)( |$)/,
  'type "bpfman list programs --program-type TYPE", or "bpfman program list --type TYPE", which takes several types':
    /^list programs?\b.* (-t|--types?)( |=|$)/,
  'type "bpfman link list --kind TYPE"': /^list links?\b.* (-t|--types?|--kinds?)( |=|$)/,
  'type "bpfman program list", followed by that option': /^list programs?\b.* (--(un)?attached|-l|--selector)( |=|$)/,
  'type "bpfman link list --program-id ID"': /^list links?\b.* --program-id( |=|$)/,
  'type "bpfman map list", or "bpfman map get MAP"': /^(list|get|show) maps?\b/,
  'type "bpfman list links" and look at the Attachment column; with "-o json" it is .links[].details.interface':
    /^((list links?|link list|link) .*(-i|--iface|--interface|--dev|dev)( |$)|list links? \w)/,
  'here, documents are words, not options: "bpfman apply PATH"':
    /^apply (.* )?(-f|-k|--file(name)?|--kustomize)( |=|$)/,
  '"bpfman export" prints the document, for the shell to write it with > FILE; "bpfman export --bundle PATH" writes one with its object files':
    /^export [^-\s]/,
  'here, it is called --interval: "bpfman stats --interval 10s"': /^stats (.* )?(--for|-i|--time)( |=|$)/,
  'type "bpfman top", which measures again and again': /^stats (.* )?(-w|--watch|-f|--follow)( |$)/,
  'here, it is called --interval: "bpfman top --interval 5s"': /^top (.* )?(-d|--delay|-i)( |=|$)/,
  "it goes on by itself, until --count, --for or Ctrl-C: leave that option out":
    /^((map )?events|trace|watch) (.* )?(-f|--follow)( |$)/,
  'all programs print to the same place: type "bpfman trace"': /^trace [^-\s]/,
  'all changes are printed; type "bpfman list programs" or "bpfman list links" for what is there': /^watch [^-\s]/,
  'type "bpfman history -n 5"': /^history (\d+$|.*(-l|--last|--tail)( |=|$))/,
  'type "bpfman repair", or "bpfman repair --dry-run" for what it would do': /^doctor .*--?(fix|repair)\b/,
  'it asks nothing: type "bpfman repair", or "bpfman repair --dry-run" for what it would do':
    /^repair (.* )?(-[nyf]|--yes|--force)( |$)/,
  'what waits is restored by itself: type "bpfman restore"': /^restore (.* )?(-a|--all)( |$)/,
  'unused images are all of them: type "bpfman image prune"': /^image prune (.* )?(-[af]|--all|--force)( |$)/,
  'type "bpfman events PROGRAM" for what a program reports, "bpfman history" for what bpfman did':
    /^(list|get) (events?|history)( |$)/,
  'metrics are printed, or written for node_exporter: "bpfman metrics -o ./PATH"; "bpfman serve --metrics-socket PATH" serves them':
    /^metrics (serve\b|.*--(listen|port|addr(ess)?)( |=|$))/,
  'type "bpfman map clear MAP"': /^map (flush|empty|truncate|reset)( |$)/,
  'here, a key and a value are words without a name: "bpfman map lookup MAP KEY", "bpfman map update MAP KEY VALUE"':
    /^map (lookup|update|delete) (?!id |pinned |name )\S+ (key|value|hex)( |$)/,
  'there is no need to force anything; "--ignore-missing" ignores ids that do not exist':
    /^(unload|detach|\w+ (unload|detach|delete))\b.* (-f|--force)\b/,
};

/** Options that no command has, anywhere on the line. */
const OPTIONS: Habits = {
  'type "bpfman serve", followed by the options':
    /^ (-\S+ )*--(csi-support|csi-socket|metrics-socket|socket-path|socket-group)\b/,
  'for JSON, type "-o json"': / (-j|-jp|--json|--pretty)( |$)/,
  'type "--version" for the version, "--log-level debug" for more output': /^ -v$/,
  'type "--log-level debug"': / (-vv?|--verbose|--debug)( |$)/,
};

/** bpfman's own global options and their values, which can be anywhere. */
const GLOBAL =
  / (-o|--(output|runtime-dir|state-dir|(image-)?cache-dir|config|ca-file|lock-timeout|log(-level)?|error-format))[ =]\S+/g;

/** Returns what to type instead of an unparsable line; null if no pattern matches. */
export function insteadOf(args: readonly string[]): string | null {
  const line = ` ${args.join(" ")}`.replaceAll(GLOBAL, "").trimStart();
  const words = line.replace(/^(-\S+ )+/, "");
  const tools = [BPFTOOL, XDP_LOADER, IPROUTE2, OTHER_BPFMANS, TYPES, OTHER_GRAMMAR, ANY_TOOL];
  const habit = tools.flatMap(Object.entries).find(([, typed]) => typed.test(words));
  const option = Object.entries(OPTIONS).find(([, typed]) => typed.test(` ${line}`));
  const found = [habit, option].flatMap((each) => each?.[0] ?? []);
  return found.length === 0 ? null : found.join("; ");
}
