/**
 * What users of other tools type, and what to type instead. Looked at only when a command line was not understood, so a
 * row may be generous.
 */

interface Habit {
  /** Matched against the words of the line, joined by blanks. */
  readonly typed: RegExp;
  readonly instead: string;
}

const HABITS: readonly Habit[] = [
  // bpftool
  {
    typed: /^p(rog)? (dump|tracelog|profile|run|pin)\b/,
    instead: "bpftool does that, also with programs of bpfman: they are pinned as /run/bpfman/fs/prog_ID",
  },
  {
    typed: /^p(rog)? load(all)?\b/,
    instead: 'type "bpfman load file --path OBJECT --programs TYPE:NAME", then "bpfman attach ID KIND"',
  },
  { typed: /^p(rog)? (at|de)tach\b/, instead: 'type "bpfman attach ID KIND" or "bpfman detach LINK_ID"' },
  {
    typed: /^p(rog)?( |$)/,
    instead: 'type "bpfman list programs --all" for every program in the kernel, "bpfman get program ID" for one',
  },
  {
    typed: /^n(et)?( |$)/,
    instead: 'type "bpfman list links" for what bpfman attached, "bpfman dispatcher list" for its chains',
  },
  {
    typed: /^m(ap)?( |$)/,
    instead:
      'type "bpfman get program ID" for the maps of a program; read them with "bpftool map dump pinned MAP_PIN_PATH/NAME"',
  },
  { typed: /^feature\b/, instead: 'type "bpfman version -o json": it tries out what this kernel can do' },
  { typed: /^(btf|cgroup|perf|iter|gen|struct_ops|batch)( |$)/, instead: "bpftool does that" },
  { typed: /^link (show|dump)\b/, instead: 'type "bpfman list links", or "bpfman get link LINK_ID" for one' },
  // xdp-loader
  {
    typed: /^status\b/,
    instead: 'type "bpfman list links --program-type xdp"; "bpfman dispatcher list --type xdp" shows the chains',
  },
  {
    typed: /^clean\b/,
    instead: "nothing needs cleaning: the next command that changes something removes what was left",
  },
  {
    typed: /^load (?!file |image ).*\.o( |$)/,
    instead:
      'type "bpfman load file --path OBJECT --programs xdp:NAME", then "bpfman attach ID xdp --iface IFACE --priority 50"',
  },
  {
    typed: /^unload (-\S+ )*[A-Za-z]/,
    instead:
      'an id is needed: "bpfman list links" shows what is attached to an interface; "bpfman detach LINK_ID" takes it off',
  },
  // ip link, and what many tools have
  { typed: /^(show|ls|ps)( |$)/, instead: 'type "bpfman list programs" or "bpfman list links"' },
  {
    typed: /^(rm|remove|delete)( |$)/,
    instead: 'type "bpfman unload ID", "bpfman detach LINK_ID" or "bpfman program delete ID"',
  },
  { typed: /^(program|link|dispatcher) show\b/, instead: 'type "get" with an id, or "list"' },
  // bpfman, older and newer
  { typed: /^get (\d+)$/, instead: 'type "bpfman get program ID" or "bpfman get link LINK_ID"' },
  { typed: /^list -/, instead: 'type "bpfman list programs" or "bpfman list links", and the options behind it' },
  { typed: /^load-from-file\b/, instead: 'type "bpfman load file"' },
  { typed: /^load-from-image\b/, instead: 'type "bpfman load image"' },
  { typed: /^pull-bytecode\b/, instead: 'type "bpfman image pull"' },
  {
    typed: /^(serve|system|service|daemon|start|stop)\b|^--(csi-support|socket-path)\b/,
    instead: 'bpfman needs no daemon; "bpfman rpc" serves one parent process over stdio',
  },
  {
    typed: /^(gc|doctor|audit)\b/,
    instead: "not needed: the next command that changes something removes what was left",
  },
  {
    typed: /^link attach \d+ /,
    instead: 'the kind comes first: "bpfman link attach KIND ID ..."; or type "bpfman attach ID KIND"',
  },
  {
    typed: /^link attach [a-z]+ [^\d\s-]\S* \d+( |$)/,
    instead: 'the program\'s id comes before the place: "bpfman link attach KIND ID PLACE"',
  },
  {
    typed: /^link attach .* (-i|-d|-t|--iface|--direction|--target|--tracepoint)( |=|$)/,
    instead: 'places are words here: "bpfman link attach tc ID IFACE DIRECTION", "bpfman link attach uprobe ID TARGET"',
  },
  { typed: /^link attach kprobe .* (-f|--fn-name)( |=|$)/, instead: 'type "bpfman link attach kprobe ID FUNCTION"' },
  {
    typed: /^program load .*(?<= )(-i|--image-url)( |=|$)/,
    instead: 'the image is a word here: "bpfman program load image IMAGE --programs TYPE:NAME"',
  },
  {
    typed: /^program load (?!image ).*(?<= )(-p|--path)( |=|$)/,
    instead: 'the file is a word here: "bpfman program load file PATH --programs TYPE:NAME"',
  },
  {
    typed: /^program (at|de)tach\b/,
    instead: 'type "bpfman link attach KIND ID ..." or "bpfman link detach LINK_ID"',
  },
  {
    typed: /^link (un)?load\b/,
    instead: 'type "bpfman program load file PATH --programs TYPE:NAME" or "bpfman program unload ID"',
  },
  { typed: /^image load\b/, instead: 'type "bpfman program load image IMAGE --programs TYPE:NAME"' },
];

/** What to type instead of a line that was not understood; null when it reminds of nothing. */
export function insteadOf(args: readonly string[]): string | null {
  const line = args.join(" ");
  return HABITS.find(({ typed }) => typed.test(line))?.instead ?? null;
}
