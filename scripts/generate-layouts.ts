/**
 * Writes ffi/layout/generated.ts, with the offsets and sizes of the structs that bpfman passes to the kernel and to
 * libbpf, as the C compiler sees them; ffi/layout/generated-objects.ts, with those that most commands need; and
 * ffi/layout/generated-files.ts, with the file structs that every command needs. They are the same on all processors
 * that bpfman runs on (test/unit/ffi/layout.test.ts).
 *
 * Kernel structs come from the BTF of the running kernel, because packaged kernel headers lag behind (Debian 12 has
 * those of 6.1, without TCX); libbpf's structs come from its installed header.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Processor } from "./bun-for.ts";
import { MULTIARCH } from "./debian.ts";

interface StructSource {
  /** Name of the constant in the generated file. */
  readonly name: string;
  readonly type: string;
  /** Member designators as offsetof() takes them, optionally preceded by our own name: `cookie=perf_event.bpf_cookie`. */
  readonly fields: readonly string[];
  /** Bit fields of one bit, generated as a byte offset and a mask. */
  readonly bits?: readonly string[];
}

/** Fields of `link_create`: those that every link has, and some more. */
function linkFields(...more: readonly string[]): string[] {
  return ["prog_fd", "attach_type", "flags", ...more].map((field) => {
    const [name, member] = named(field);
    return `${name}=link_create.${member}`;
  });
}

const KERNEL_STRUCTS: readonly StructSource[] = [
  { name: "OBJ_ATTR", type: "union bpf_attr", fields: ["pathname", "bpf_fd", "file_flags"] },
  { name: "GET_ID_ATTR", type: "union bpf_attr", fields: ["start_id", "next_id", "open_flags"] },
  {
    name: "INFO_ATTR",
    type: "union bpf_attr",
    fields: ["bpf_fd=info.bpf_fd", "info_len=info.info_len", "info=info.info"],
  },
  {
    name: "QUERY_ATTR",
    type: "union bpf_attr",
    fields: [
      "target_ifindex=query.target_ifindex",
      // The same place, for a cgroup.
      "target_fd=query.target_fd",
      "attach_type=query.attach_type",
      "prog_ids=query.prog_ids",
      "count=query.count",
      "attach_flags=query.attach_flags",
      "link_ids=query.link_ids",
      "revision=query.revision",
    ],
  },
  // BPF_LINK_CREATE has a place of its own for each kind of link: one layout for each, without what lies over it.
  {
    name: "PERF_LINK_ATTR",
    type: "union bpf_attr",
    fields: linkFields("target_fd", "cookie=perf_event.bpf_cookie"),
  },
  {
    name: "TRACING_LINK_ATTR",
    type: "union bpf_attr",
    fields: linkFields("target_fd", "target_btf_id=tracing.target_btf_id", "cookie=tracing.cookie"),
  },
  { name: "XDP_LINK_ATTR", type: "union bpf_attr", fields: linkFields("target_ifindex") },
  {
    name: "TCX_LINK_ATTR",
    type: "union bpf_attr",
    fields: linkFields("target_ifindex", "relative_id=tcx.relative_id", "expected_revision=tcx.expected_revision"),
  },
  {
    name: "KPROBE_MULTI_LINK_ATTR",
    type: "union bpf_attr",
    fields: linkFields("multi_flags=kprobe_multi.flags", "cnt=kprobe_multi.cnt", "syms=kprobe_multi.syms"),
  },
  {
    name: "UPROBE_MULTI_LINK_ATTR",
    type: "union bpf_attr",
    fields: linkFields(
      "path=uprobe_multi.path",
      "offsets=uprobe_multi.offsets",
      "cnt=uprobe_multi.cnt",
      "multi_flags=uprobe_multi.flags",
      "pid=uprobe_multi.pid",
    ),
  },
  {
    name: "ITER_LINK_ATTR",
    type: "union bpf_attr",
    fields: linkFields("iter_info", "iter_info_len"),
  },
  { name: "ITER_LINK_INFO", type: "union bpf_iter_link_info", fields: ["map_fd=map.map_fd"] },
  {
    name: "ITER_CREATE_ATTR",
    type: "union bpf_attr",
    fields: ["link_fd=iter_create.link_fd", "flags=iter_create.flags"],
  },
  {
    name: "RAW_TRACEPOINT_ATTR",
    type: "union bpf_attr",
    fields: ["name=raw_tracepoint.name", "prog_fd=raw_tracepoint.prog_fd", "cookie=raw_tracepoint.cookie"],
  },
  {
    name: "CGROUP_LINK_ATTR",
    type: "union bpf_attr",
    fields: linkFields("target_fd", "relative_id=cgroup.relative_id", "expected_revision=cgroup.expected_revision"),
  },
  { name: "NETNS_LINK_ATTR", type: "union bpf_attr", fields: linkFields("target_fd") },
  {
    name: "NETFILTER_LINK_ATTR",
    type: "union bpf_attr",
    fields: linkFields(
      "pf=netfilter.pf",
      "hooknum=netfilter.hooknum",
      "priority=netfilter.priority",
      "netfilter_flags=netfilter.flags",
    ),
  },
  {
    name: "LINK_UPDATE_ATTR",
    type: "union bpf_attr",
    fields: [
      "link_fd=link_update.link_fd",
      "new_prog_fd=link_update.new_prog_fd",
      "flags=link_update.flags",
      "old_prog_fd=link_update.old_prog_fd",
    ],
  },
  { name: "MAP_ELEMENT_ATTR", type: "union bpf_attr", fields: ["map_fd", "key", "value", "flags"] },
  {
    name: "MAP_BATCH_ATTR",
    type: "union bpf_attr",
    fields: [
      "in_batch=batch.in_batch",
      "out_batch=batch.out_batch",
      "keys=batch.keys",
      "values=batch.values",
      "count=batch.count",
      "map_fd=batch.map_fd",
      "flags=batch.flags",
    ],
  },
  { name: "BTF_INFO", type: "struct bpf_btf_info", fields: ["btf", "btf_size", "id"] },
  { name: "LINK_DETACH_ATTR", type: "union bpf_attr", fields: ["link_fd=link_detach.link_fd"] },
  { name: "ENABLE_STATS_ATTR", type: "union bpf_attr", fields: ["type=enable_stats.type"] },
  {
    name: "PROG_LOAD_ATTR",
    type: "union bpf_attr",
    fields: [
      "prog_type",
      "insn_cnt",
      "insns",
      "license",
      "expected_attach_type",
      "prog_btf_fd",
      "func_info_rec_size",
      "func_info",
      "func_info_cnt",
      "attach_btf_id",
      "attach_prog_fd",
    ],
  },
  { name: "BTF_LOAD_ATTR", type: "union bpf_attr", fields: ["btf", "btf_size"] },
  {
    name: "PROG_INFO",
    type: "struct bpf_prog_info",
    fields: [
      "type",
      "id",
      "tag",
      "jited_prog_len",
      "xlated_prog_len",
      "load_time",
      "created_by_uid",
      "nr_map_ids",
      "map_ids",
      "name",
      "btf_id",
      "func_info_rec_size",
      "func_info",
      "nr_func_info",
      "run_time_ns",
      "run_cnt",
      "recursion_misses",
      "verified_insns",
    ],
    bits: ["gpl_compatible"],
  },
  {
    name: "MAP_INFO",
    type: "struct bpf_map_info",
    fields: [
      "type",
      "id",
      "key_size",
      "value_size",
      "max_entries",
      "map_flags",
      "name",
      "btf_vmlinux_value_type_id",
      "btf_id",
      "btf_key_type_id",
      "btf_value_type_id",
      "map_extra",
    ],
  },
  // Where programs and maps have it, too.
  { name: "ID_INFO", type: "struct bpf_link_info", fields: ["id"] },
  {
    name: "LINK_INFO",
    type: "struct bpf_link_info",
    fields: [
      "type",
      "id",
      "prog_id",
      "tracing_attach_type=tracing.attach_type",
      "tracing_target_obj_id=tracing.target_obj_id",
      "tracing_target_btf_id=tracing.target_btf_id",
      "tracing_cookie=tracing.cookie",
      "cgroup_id=cgroup.cgroup_id",
      "cgroup_attach_type=cgroup.attach_type",
      "netns_ino=netns.netns_ino",
      "netns_attach_type=netns.attach_type",
      "netfilter_pf=netfilter.pf",
      "netfilter_hooknum=netfilter.hooknum",
      "netfilter_priority=netfilter.priority",
      "netfilter_flags=netfilter.flags",
      "xdp_ifindex=xdp.ifindex",
      "raw_tp_name=raw_tracepoint.tp_name",
      "raw_tp_name_len=raw_tracepoint.tp_name_len",
      "raw_tp_cookie=raw_tracepoint.cookie",
      "perf_event_type=perf_event.type",
      // The name and its length stand at one place for uprobes, kprobes and tracepoints.
      "perf_event_name=perf_event.kprobe.func_name",
      "perf_event_name_len=perf_event.kprobe.name_len",
      "kprobe_offset=perf_event.kprobe.offset",
      "kprobe_addr=perf_event.kprobe.addr",
      "kprobe_missed=perf_event.kprobe.missed",
      "kprobe_cookie=perf_event.kprobe.cookie",
      "uprobe_offset=perf_event.uprobe.offset",
      "uprobe_cookie=perf_event.uprobe.cookie",
      "tracepoint_cookie=perf_event.tracepoint.cookie",
      "event_config=perf_event.event.config",
      "event_type=perf_event.event.type",
      "event_cookie=perf_event.event.cookie",
      "kprobe_multi_count=kprobe_multi.count",
      "kprobe_multi_flags=kprobe_multi.flags",
      "kprobe_multi_missed=kprobe_multi.missed",
      "uprobe_multi_path=uprobe_multi.path",
      "uprobe_multi_path_size=uprobe_multi.path_size",
      "uprobe_multi_count=uprobe_multi.count",
      "uprobe_multi_flags=uprobe_multi.flags",
      "iter_target_name=iter.target_name",
      "iter_target_name_len=iter.target_name_len",
      "iter_map_id=iter.map.map_id",
      "tcx_ifindex=tcx.ifindex",
      "tcx_attach_type=tcx.attach_type",
      "netkit_attach_type=netkit.attach_type",
    ],
  },
  {
    name: "PERF_EVENT_ATTR",
    type: "struct perf_event_attr",
    fields: [
      "type",
      "size",
      "config",
      "sample_period",
      "sample_type",
      "read_format",
      "wakeup_events",
      "uprobe_path",
      "kprobe_func",
      "probe_offset",
    ],
    bits: ["freq"],
  },
];

const FILE_STRUCTS: readonly StructSource[] = [
  {
    name: "STATX",
    type: "struct statx",
    fields: [
      "stx_nlink",
      "stx_uid",
      "stx_mode",
      "stx_ino",
      "stx_size",
      "stx_ctime",
      "stx_mtime",
      "stx_dev_major",
      "stx_dev_minor",
    ],
  },
  { name: "STATFS", type: "struct statfs", fields: ["f_type", "f_bsize", "f_bavail"] },
  { name: "DIRENT", type: "struct linux_dirent64", fields: ["d_reclen", "d_name"] },
];

const LIBBPF_STRUCTS: readonly StructSource[] = [
  { name: "OBJECT_OPEN_OPTS", type: "struct bpf_object_open_opts", fields: ["sz", "object_name"] },
];

/** Values of the kernel's enums: name of the constant, prefix to strip from its keys, enumerators. */
const KERNEL_ENUMS: readonly { readonly name: string; readonly prefix: string; readonly values: readonly string[] }[] =
  [
    {
      name: "BPF_CMD",
      prefix: "BPF_",
      values: [
        "BPF_OBJ_PIN",
        "BPF_OBJ_GET",
        "BPF_PROG_GET_NEXT_ID",
        "BPF_MAP_GET_NEXT_ID",
        "BPF_LINK_GET_NEXT_ID",
        "BPF_PROG_GET_FD_BY_ID",
        "BPF_MAP_GET_FD_BY_ID",
        "BPF_BTF_GET_FD_BY_ID",
        "BPF_MAP_LOOKUP_ELEM",
        "BPF_MAP_UPDATE_ELEM",
        "BPF_MAP_DELETE_ELEM",
        "BPF_MAP_GET_NEXT_KEY",
        "BPF_MAP_LOOKUP_AND_DELETE_ELEM",
        "BPF_MAP_LOOKUP_BATCH",
        "BPF_LINK_GET_FD_BY_ID",
        "BPF_OBJ_GET_INFO_BY_FD",
        "BPF_PROG_QUERY",
        "BPF_LINK_CREATE",
        "BPF_RAW_TRACEPOINT_OPEN",
        "BPF_ITER_CREATE",
        "BPF_LINK_UPDATE",
        "BPF_LINK_DETACH",
        "BPF_ENABLE_STATS",
        "BPF_PROG_LOAD",
        "BPF_BTF_LOAD",
      ],
    },
    {
      name: "PROG_TYPE",
      prefix: "BPF_PROG_TYPE_",
      values: [
        "BPF_PROG_TYPE_UNSPEC",
        "BPF_PROG_TYPE_SOCKET_FILTER",
        "BPF_PROG_TYPE_KPROBE",
        "BPF_PROG_TYPE_SCHED_CLS",
        "BPF_PROG_TYPE_SCHED_ACT",
        "BPF_PROG_TYPE_TRACEPOINT",
        "BPF_PROG_TYPE_XDP",
        "BPF_PROG_TYPE_PERF_EVENT",
        "BPF_PROG_TYPE_CGROUP_SKB",
        "BPF_PROG_TYPE_CGROUP_SOCK",
        "BPF_PROG_TYPE_LWT_IN",
        "BPF_PROG_TYPE_LWT_OUT",
        "BPF_PROG_TYPE_LWT_XMIT",
        "BPF_PROG_TYPE_SOCK_OPS",
        "BPF_PROG_TYPE_SK_SKB",
        "BPF_PROG_TYPE_CGROUP_DEVICE",
        "BPF_PROG_TYPE_SK_MSG",
        "BPF_PROG_TYPE_RAW_TRACEPOINT",
        "BPF_PROG_TYPE_CGROUP_SOCK_ADDR",
        "BPF_PROG_TYPE_LWT_SEG6LOCAL",
        "BPF_PROG_TYPE_LIRC_MODE2",
        "BPF_PROG_TYPE_SK_REUSEPORT",
        "BPF_PROG_TYPE_FLOW_DISSECTOR",
        "BPF_PROG_TYPE_CGROUP_SYSCTL",
        "BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE",
        "BPF_PROG_TYPE_CGROUP_SOCKOPT",
        "BPF_PROG_TYPE_TRACING",
        "BPF_PROG_TYPE_STRUCT_OPS",
        "BPF_PROG_TYPE_EXT",
        "BPF_PROG_TYPE_LSM",
        "BPF_PROG_TYPE_SK_LOOKUP",
        "BPF_PROG_TYPE_SYSCALL",
        "BPF_PROG_TYPE_NETFILTER",
      ],
    },
    {
      name: "ATTACH_TYPE",
      prefix: "BPF_",
      values: [
        "BPF_CGROUP_INET_INGRESS",
        "BPF_CGROUP_INET_EGRESS",
        "BPF_CGROUP_INET_SOCK_CREATE",
        "BPF_CGROUP_SOCK_OPS",
        "BPF_SK_SKB_STREAM_PARSER",
        "BPF_SK_SKB_STREAM_VERDICT",
        "BPF_CGROUP_DEVICE",
        "BPF_SK_MSG_VERDICT",
        "BPF_CGROUP_INET4_BIND",
        "BPF_CGROUP_INET6_BIND",
        "BPF_CGROUP_INET4_CONNECT",
        "BPF_CGROUP_INET6_CONNECT",
        "BPF_CGROUP_INET4_POST_BIND",
        "BPF_CGROUP_INET6_POST_BIND",
        "BPF_CGROUP_UDP4_SENDMSG",
        "BPF_CGROUP_UDP6_SENDMSG",
        "BPF_LIRC_MODE2",
        "BPF_FLOW_DISSECTOR",
        "BPF_CGROUP_SYSCTL",
        "BPF_CGROUP_UDP4_RECVMSG",
        "BPF_CGROUP_UDP6_RECVMSG",
        "BPF_CGROUP_GETSOCKOPT",
        "BPF_CGROUP_SETSOCKOPT",
        "BPF_TRACE_RAW_TP",
        "BPF_TRACE_FENTRY",
        "BPF_TRACE_FEXIT",
        "BPF_MODIFY_RETURN",
        "BPF_LSM_MAC",
        "BPF_TRACE_ITER",
        "BPF_CGROUP_INET4_GETPEERNAME",
        "BPF_CGROUP_INET6_GETPEERNAME",
        "BPF_CGROUP_INET4_GETSOCKNAME",
        "BPF_CGROUP_INET6_GETSOCKNAME",
        "BPF_XDP_DEVMAP",
        "BPF_CGROUP_INET_SOCK_RELEASE",
        "BPF_XDP_CPUMAP",
        "BPF_SK_LOOKUP",
        "BPF_XDP",
        "BPF_SK_SKB_VERDICT",
        "BPF_SK_REUSEPORT_SELECT",
        "BPF_SK_REUSEPORT_SELECT_OR_MIGRATE",
        "BPF_PERF_EVENT",
        "BPF_TRACE_KPROBE_MULTI",
        "BPF_LSM_CGROUP",
        "BPF_STRUCT_OPS",
        "BPF_NETFILTER",
        "BPF_TCX_INGRESS",
        "BPF_TCX_EGRESS",
        "BPF_TRACE_UPROBE_MULTI",
        "BPF_CGROUP_UNIX_CONNECT",
        "BPF_CGROUP_UNIX_SENDMSG",
        "BPF_CGROUP_UNIX_RECVMSG",
        "BPF_CGROUP_UNIX_GETPEERNAME",
        "BPF_CGROUP_UNIX_GETSOCKNAME",
        "BPF_NETKIT_PRIMARY",
        "BPF_NETKIT_PEER",
        "BPF_TRACE_KPROBE_SESSION",
        "BPF_TRACE_UPROBE_SESSION",
        // Linux 7.0, and so not in the BTF of every kernel that this runs on.
        "BPF_TRACE_FSESSION=58",
      ],
    },
    {
      name: "LINK_TYPE",
      prefix: "BPF_LINK_TYPE_",
      values: [
        "BPF_LINK_TYPE_RAW_TRACEPOINT",
        "BPF_LINK_TYPE_TRACING",
        "BPF_LINK_TYPE_CGROUP",
        "BPF_LINK_TYPE_ITER",
        "BPF_LINK_TYPE_NETNS",
        "BPF_LINK_TYPE_XDP",
        "BPF_LINK_TYPE_PERF_EVENT",
        "BPF_LINK_TYPE_KPROBE_MULTI",
        "BPF_LINK_TYPE_UPROBE_MULTI",
        "BPF_LINK_TYPE_NETFILTER",
        "BPF_LINK_TYPE_TCX",
        "BPF_LINK_TYPE_NETKIT",
      ],
    },
    {
      name: "PERF_EVENT_KIND",
      prefix: "BPF_PERF_EVENT_",
      values: [
        "BPF_PERF_EVENT_UPROBE",
        "BPF_PERF_EVENT_URETPROBE",
        "BPF_PERF_EVENT_KPROBE",
        "BPF_PERF_EVENT_KRETPROBE",
        "BPF_PERF_EVENT_TRACEPOINT",
        "BPF_PERF_EVENT_EVENT",
      ],
    },
    {
      name: "PERF_TYPE",
      prefix: "PERF_TYPE_",
      values: ["PERF_TYPE_HARDWARE", "PERF_TYPE_SOFTWARE", "PERF_TYPE_TRACEPOINT"],
    },
    { name: "PERF_SOFTWARE", prefix: "PERF_COUNT_SW_", values: ["PERF_COUNT_SW_DUMMY", "PERF_COUNT_SW_BPF_OUTPUT"] },
  ];

interface Command {
  readonly stdout: string;
  readonly stderr: string;
  readonly ok: boolean;
}

function run(command: readonly string[]): Command {
  const result = Bun.spawnSync([...command], { stdout: "pipe", stderr: "pipe" });
  return { stdout: result.stdout.toString(), stderr: result.stderr.toString(), ok: result.exitCode === 0 };
}

function must(command: readonly string[]): string {
  const result = run(command);
  if (!result.ok) throw new Error(`${command.join(" ")}: ${result.stderr.slice(0, 2000)}`);
  return result.stdout;
}

/** clang, which compiles for every processor; for another one than this machine's, with the headers that Debian has for it. */
function compiler(processor: Processor): readonly string[] {
  const triple = MULTIARCH[processor];
  const headers =
    processor === process.arch ? [] : ["-isystem", `/usr/${triple}/include`, "-idirafter", "/usr/include"];
  return ["clang", `--target=${triple}`, "-w", "-std=gnu11", ...headers];
}

/** Why nothing can be compiled for the processor here; null if it can. */
export function compilerObstacle(processor: Processor): string | null {
  for (const tool of ["clang", "llvm-objcopy"]) if (Bun.which(tool) === null) return `${tool} is not installed`;
  if (!run([...compiler(processor), "-E", "-include", "stdint.h", "-x", "c", "/dev/null"]).ok)
    return `the headers for ${processor} are not installed`;
  if (!run([...compiler(processor), "-E", "-include", "bpf/libbpf.h", "-x", "c", "/dev/null"]).ok)
    return "libbpf-dev is not installed";
  return null;
}

const BTF = "/sys/kernel/btf/vmlinux";
/** Of all that is generated, what came last. */
const NEWEST_FIELD = /__u32 target_btf_id;\s+__u64 cookie;\s+\} tracing;/;

/** Why the layouts cannot be generated here; null if they can. */
export function obstacle(processor: Processor): string | null {
  if (Bun.which("bpftool") === null) return "bpftool is not installed";
  const dump = run(["bpftool", "btf", "dump", "file", BTF, "format", "c"]);
  if (!dump.ok) return `the kernel's BTF cannot be read: ${dump.stderr.trim()}`;
  if (!NEWEST_FIELD.test(dump.stdout))
    return "this kernel is older than the layouts: its BTF has no cookies of tracing links";
  return compilerObstacle(processor);
}

/** `cookie=a.b` -> [`cookie`, `a.b`]; `NAME=58` -> [`NAME`, `58`]. */
function named(field: string): readonly [name: string, member: string] {
  const [name = "", member = name] = field.split("=");
  return [name, member];
}

/** Compiles definitions of constants, behind `preamble`, for a processor, and returns the bytes of each. */
function compiledBytes(processor: Processor, preamble: string, definitions: readonly string[]): readonly Buffer[] {
  const directory = mkdtempSync(join(tmpdir(), "bpfman-layouts-"));
  try {
    const at = (name: string) => join(directory, name);
    const placed = definitions.map((each, index) => `__attribute__((section("wanted${index}"), used)) const ${each};`);
    writeFileSync(at("source.c"), [preamble, ...placed, ""].join("\n"));
    must([...compiler(processor), "-c", "-o", at("object.o"), at("source.c")]);
    return definitions.map((_, index) => {
      must(["llvm-objcopy", "-O", "binary", `--only-section=wanted${index}`, at("object.o"), at("bytes")]);
      return readFileSync(at("bytes"));
    });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

const longs = (expressions: readonly string[]): string => `long values[] = {\n${expressions.join(",\n")}\n}`;
const readLongs = (bytes: Buffer = Buffer.alloc(0)): number[] =>
  Array.from({ length: bytes.length / 8 }, (_, index) => Number(bytes.readBigInt64LE(index * 8)));

/** The values of constant C expressions, on that processor. Throws if one does not compile. */
export const constantsOf = (
  processor: Processor,
  preamble: string,
  expressions: readonly string[],
): readonly number[] => readLongs(compiledBytes(processor, preamble, [longs(expressions)])[0]);

interface Texts {
  readonly enums: readonly string[];
  readonly structs: readonly string[];
}

/** One compilation for all of them, because the preamble is long. */
function print(
  processor: Processor,
  preamble: string,
  structs: readonly StructSource[],
  enums: typeof KERNEL_ENUMS = [],
): Texts {
  const places = structs.flatMap(({ type, fields }) =>
    fields.flatMap((field) => {
      const [, member] = named(field);
      return [`__builtin_offsetof(${type}, ${member})`, `sizeof(((${type} *)0)->${member})`];
    }),
  );
  const setBits = structs.flatMap(({ name, type, bits = [] }) =>
    bits.map((bit) => `${type} ${name}_${bit} = { .${bit} = 1 }`),
  );
  const expressions = [...enums.flatMap(({ values }) => values.map((value) => named(value)[1])), ...places];
  const [numbers, ...bitBytes] = compiledBytes(processor, preamble, [longs(expressions), ...setBits]);
  const values = readLongs(numbers);
  const next = (): number => values.shift() ?? 0;
  const printEnum = ({ name, prefix, values: names }: (typeof KERNEL_ENUMS)[number]): string => {
    const lines = names.map((value) => `  ${named(value)[0].slice(prefix.length)}: ${next()},\n`);
    return `\nexport const ${name} = {\n${lines.join("")}} as const;\n`;
  };
  const printStruct = ({ name, type, fields, bits = [] }: StructSource): string => {
    let size = 0;
    const lines = fields.map((field) => {
      const place = { offset: next(), size: next() };
      size = Math.max(size, place.offset + place.size);
      return `    ${named(field)[0]}: { offset: ${place.offset}, size: ${place.size} },\n`;
    });
    const bitLines = bits.map((bit) => {
      const bytes = bitBytes.shift() ?? Buffer.alloc(0);
      const offset = bytes.findIndex((byte) => byte !== 0);
      return `  ${bit}: { offset: ${offset}, mask: ${bytes[offset]} },\n`;
    });
    const body = `  fields: {\n${lines.join("")}  },\n${bitLines.join("")}  size: ${size},\n`;
    return `\n/** ${type} */\nexport const ${name} = {\n${body}} as const;\n`;
  };
  return { enums: enums.map(printEnum), structs: structs.map(printStruct) };
}

/** What commands need that only look at objects. */
const OF_OBJECTS =
  /^(BPF_CMD|LINK_TYPE|PERF_EVENT_KIND|OBJ_ATTR|GET_ID_ATTR|INFO_ATTR|BTF_INFO|LINK_DETACH_ATTR|PROG_INFO|MAP_INFO|LINK_INFO|ID_INFO)$/;

/** The contents of the files in ffi/layout, by name. Throws if {@link obstacle} is not null. */
export function generateLayouts(processor: Processor): Readonly<Record<string, string>> {
  const vmlinux = must(["bpftool", "btf", "dump", "file", BTF, "format", "c"]);
  const kernel = `#define BPF_NO_PRESERVE_ACCESS_INDEX\n${vmlinux}`;
  const header = [
    "// Made by scripts/generate-layouts.ts from the kernel's BTF and libbpf's header. Do not edit.",
    "// Offsets and sizes in bytes; the size of a struct ends with the last field used here.",
  ];
  const text = (...parts: readonly string[]) => `${header.join("\n")}\n${parts.join("")}`;
  const { enums, structs } = print(processor, kernel, [...KERNEL_STRUCTS, ...FILE_STRUCTS], KERNEL_ENUMS);
  const files = structs.slice(KERNEL_STRUCTS.length);
  const libbpf = print(processor, "#include <bpf/libbpf.h>", LIBBPF_STRUCTS);
  const ofKernel = [...enums, ...structs.slice(0, KERNEL_STRUCTS.length)];
  const isOfObjects = (each: string): boolean => OF_OBJECTS.test(/^export const (\w+)/m.exec(each)?.[1] ?? "");
  return {
    "generated.ts": text(...ofKernel.filter((each) => !isOfObjects(each)), ...libbpf.structs),
    "generated-objects.ts": text(...ofKernel.filter(isOfObjects)),
    "generated-files.ts": text(...files),
  };
}

if (import.meta.main) {
  for (const [name, text] of Object.entries(generateLayouts(process.arch as Processor))) {
    const target = new URL(`../ffi/layout/${name}`, import.meta.url).pathname;
    writeFileSync(target, text);
    console.log(`wrote ${target}`);
  }
}
