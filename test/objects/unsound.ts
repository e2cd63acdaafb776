/** Objects of a compiler with one field changed, each so that libbpf would read or write where nothing is, or for ever. */
import { btfKinds, openParts, type Parts } from "./object-parts.ts";
import { compileBpf } from "./compile.ts";

const TYPES = `
typedef int number;
typedef const number fixed;
struct inside { fixed small; };
struct outside { struct inside one; unsigned bits : 3; };
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 4); __type(key, __u32); __type(value, struct outside); } values SEC(".maps");
struct row { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, __u32); } row SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS); __uint(max_entries, 1); __type(key, __u32); __array(values, struct row); } rows SEC(".maps") = { .values = { &row } };
struct task_struct { int pid; struct task_struct *parent; } __attribute__((preserve_access_index));
volatile int hits;
static __attribute__((noinline)) int called(int x) { hits += x; return x; }
SEC("xdp") int pass(struct xdp_md *ctx) { __u32 key = 0; bpf_map_lookup_elem(&values, &key); bpf_map_lookup_elem(&rows, &key); return called(key) + 2; }
SEC("tracepoint/sched/sched_switch") int reads(void *ctx) { struct task_struct *task = (void *)bpf_get_current_task(); int pid; bpf_probe_read_kernel(&pid, 4, &task->parent->pid); return pid; }
SEC("kprobe/security_task_getpgid") int counts(void *ctx) { return hits; }
`;
const KCONFIG = `extern int LINUX_KERNEL_VERSION __kconfig;
extern char CONFIG_A[1000] __kconfig __weak;
SEC("xdp") int pass(struct xdp_md *ctx) { return LINUX_KERNEL_VERSION + CONFIG_A[3]; }
SEC("kprobe/security_task_getpgid") int counts(void *ctx) { return 0; }`;

export interface Unsound {
  readonly what: string;
  readonly bytes: Uint8Array;
  /** In the refusal. */
  readonly reason: string;
}

const KIND = btfKinds;

type Change = (parts: Parts) => void;

/** What is changed, what the refusal says of it, and the change. */
const CHANGES: readonly (readonly [what: string, reason: string, change: Change])[] = [
  [
    "a name behind the end of the names",
    "past the end of its names",
    (its) => its.put(its.btfType(KIND.datasec), 0x7f_ffff),
  ],
  [
    "a variable's name behind the end",
    "past the end of its names",
    (its) => its.put(its.btfType(KIND.variable, "hits"), 0x7f_ffff),
  ],
  [
    "a member's name behind the end",
    "past the end of its names",
    (its) => its.put(its.btfType(KIND.struct, "outside") + 12, 0x7f_ffff),
  ],
  ["names without an end", "begin and end with an empty one", (its) => its.putByte(its.btfStringsEnd() - 1, 65)],
  ["a type that is not there", "has no type 99999", (its) => its.put(its.btfType(KIND.variable, "values") + 8, 99_999)],
  [
    "a variable that is not there",
    "has no type 99999",
    (its) => its.put(its.btfType(KIND.datasec, ".maps") + 12, 99_999),
  ],
  [
    "a member's type that is not there",
    "has no type 99999",
    (its) => its.put(its.btfType(KIND.struct, "outside") + 16, 99_999),
  ],
  [
    "a type of its own name",
    "or itself",
    (its) => its.put(its.btfType(KIND.typedef, "number") + 8, its.btfId(KIND.typedef, "number")),
  ],
  [
    "types in a circle",
    "or itself",
    (its) => its.put(its.btfType(KIND.typedef, "number") + 8, its.btfId(KIND.typedef, "fixed")),
  ],
  [
    "a struct in itself",
    "or itself",
    (its) => its.put(its.btfType(KIND.struct, "inside") + 16, its.btfId(KIND.struct, "outside")),
  ],
  [
    "a function without a prototype",
    "without a prototype",
    (its) => its.put(its.btfType(KIND.function, "pass") + 8, its.btfId(KIND.variable, "hits")),
  ],
  [
    "an integer with members",
    "which its kind cannot have",
    (its) => its.put(its.btfType(KIND.int, "int") + 4, 0x0100_ffff),
  ],
  [
    "a bit field of a struct",
    "bit field that is not an integer",
    (its) => its.put(its.btfType(KIND.struct, "outside") + 28, its.btfId(KIND.struct, "inside")),
  ],
  [
    "a section with a type in it",
    "something other than variables",
    (its) => its.put(its.btfType(KIND.datasec, ".maps") + 12, its.btfId(KIND.struct, "outside")),
  ],
  ["a place before the first member", "of its CO-RE relocations has", (its) => its.putText(its.text("0:1"), "0:-")],
  [
    "a place that is negative in 32 bits",
    "of its CO-RE relocations has",
    (its) => its.put(its.relocationRecord() + 8, its.addText("0:4294967295")),
  ],
  [
    "a relocation of a type that is not there",
    "has no type 99999",
    (its) => its.put(its.relocationRecord() + 4, 99_999),
  ],
  ["a function behind its section", "reaches beyond it", (its) => its.put(its.symbol("called") + 8, 4096)],
  ["a function before the file", "reaches beyond it", (its) => its.putWide(its.symbol("called") + 8, 2n ** 64n - 8n)],
  ["a function whose name is not there", "beyond the names", (its) => its.put(its.symbol("called"), 0x7fff_ffff)],
  [
    "a function that ends in half an instruction",
    "ends in half an instruction",
    (its) => its.put(its.symbol("counts") + 16, 8),
  ],
  [
    "a relocation of the section that is none",
    "does not exist",
    (its) => {
      its.put(its.header(".relxdp") + 44, 0);
      its.put(its.header("") + 8, 4);
    },
  ],
  [
    "a first value of a map behind the last",
    "include one for byte",
    (its) => its.putWide(its.section(".rel.maps"), 2n ** 64n - 8n),
  ],
  ["definitions of maps without bytes", "has no bytes in the file", (its) => its.put(its.header(".maps") + 4, 8)],
  [
    "a call of nobody knows what",
    "without saying which",
    (its) => {
      its.put(its.section("kprobe/security_task_getpgid") + 16, 0x1085);
    },
  ],
];

export function unsoundObjects(): Unsound[] {
  const objects = CHANGES.map(([what, reason, change]) => {
    const parts = openParts(compileBpf(TYPES));
    change(parts);
    return { what, reason, bytes: parts.bytes };
  });
  const twice = openParts(compileBpf(TYPES));
  twice.put(twice.header(".debug_str"), twice.word(twice.header(".BTF")));
  const wide = openParts(compileBpf(KCONFIG));
  wide.put(wide.btfType(KIND.array, "", 1000) + 20, 0x7fff_ff00);
  return [
    ...objects,
    { what: "two sections of types", reason: 'has 2 sections ".BTF"', bytes: twice.bytes },
    { what: "more configuration than 32 bits count", reason: "bytes of kernel configuration", bytes: wide.bytes },
  ];
}
