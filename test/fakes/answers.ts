/** Sample answers of the service, as the renderers receive them. */
import type {
  AttachmentAnswer,
  FeaturesAnswer,
  KernelProgramAnswer,
  LinkAnswer,
  LinkRecordAnswer,
  ProgramAnswer,
  ProgramRecordAnswer,
  VersionAnswer,
} from "../../src/domain/answer.ts";
import type { LinkKind } from "../../src/domain/link.ts";

export const kernelProgram: KernelProgramAnswer = {
  id: 6321,
  name: "count_every_pac",
  program_type: "schedcls",
  tag: "4d23a1d7f3618653",
  loaded_at: "2025-07-22T08:16:06.123Z",
  uid: 0,
  has_uid: true,
  btf_id: 6760,
  has_btf_id: true,
  map_ids: [46, 45],
  has_map_ids: true,
  jited_size: 140,
  xlated_size: 232,
  verified_insns: 21,
  memlock: 4096,
  has_memlock: true,
  restricted: false,
  gpl_compatible: true,
};

export const programRecord: ProgramRecordAnswer = {
  program_id: 6321,
  load: {
    object_path: "/var/lib/bpfman/bytecode/sha256/9f2c4f0d6f3b5a7e8c1d2b3a4f5e6d7c8b9a0f1e2d3c4b5a69788796a5b4c3d2",
    source_path: "demo/counter.o",
    absolute_source_path: "/opt/demo/counter.o",
    program_name: "count_every_packet",
    program_type: "tcx",
    keep: false,
    global_data: { LIMIT: "CgAAAA==", ENABLED: "AQ==" },
    image_source: null,
    attach_func: null,
    map_owner_id: null,
  },
  license: "GPL",
  gpl_compatible: true,
  handles: {
    pin_path: "/run/bpfman/fs/prog_6321",
    map_pin_path: "/run/bpfman/fs/maps/6321",
    map_owner_id: null,
  },
  meta: {
    name: "count_every_packet",
    owner: "",
    description: "",
    metadata: { owner: "me", bpfman_application: "demo" },
  },
  created_at: "2025-07-22T08:16:06.200Z",
  updated_at: null,
};

const KERNEL_LINK = {
  id: 77,
  program_id: 6321,
  link_type: "tcx",
  attach_type: "tcx_ingress",
  ifindex: 2,
  revision: 4,
};

/** As long as nothing has gone. */
function attachmentAnswer(details: LinkRecordAnswer["details"]): AttachmentAnswer | null {
  if ("interface" in details) return { present: true, reason: null, interface: details.interface };
  return "target" in details || "cgroup" in details ? { present: true, reason: null, interface: null } : null;
}

/** A link of program 6321. */
export function linkAnswer(id: number, kind: LinkKind, details: LinkRecordAnswer["details"]): LinkAnswer {
  return {
    record: {
      id,
      link_id: id,
      program_id: 6321,
      kernel_link_id: KERNEL_LINK.id,
      kind,
      pin_path: `/run/bpfman/fs/links/${id}`,
      details,
      created_at: "2025-07-22T08:17:00.000Z",
      metadata: { bpfman_application: "demo" },
    } as LinkRecordAnswer,
    status: {
      ...{ kernel: KERNEL_LINK, kernel_seen: true, pin_present: true, function_name: "count_every_packet" },
      attachment: attachmentAnswer(details),
    },
  };
}

const HOOK = { interface: "eth0", ifindex: 2, priority: 50, position: 0, netns: null, nsid: 4026531840 };
const CHAIN = { dispatcher_id: 9, revision: 1 };

export const tcxLink = linkAnswer(3, "tcx", { ...HOOK, direction: "ingress" });

/** One link of each shape. */
export const everyLink: readonly LinkAnswer[] = [
  linkAnswer(1, "xdp", { ...HOOK, proceed_on: [2, 31], xdp_mode: "drv", ...CHAIN }),
  linkAnswer(2, "tc", { ...HOOK, direction: "egress", proceed_on: [-1, 3, 30], ...CHAIN, netns: "/run/netns/a" }),
  tcxLink,
  linkAnswer(4, "tracepoint", { group: "sched", name: "sched_switch" }),
  linkAnswer(9, "raw_tp", { tracepoint: "sched_switch" }),
  linkAnswer(10, "tp_btf", { tracepoint: "sched_switch" }),
  linkAnswer(28, "freplace", { target_program_id: 6321, fn_name: "decide" }),
  linkAnswer(11, "fmod_ret", { fn_name: "security_file_open" }),
  linkAnswer(12, "iter", { iterator: "bpf_map_elem", map_id: 46 }),
  linkAnswer(13, "perf_event", { event: "page-faults", cpu: null, pid: 4711, period: 1, frequency: null }),
  linkAnswer(14, "kprobe.multi", { pattern: "tcp_v4_*", functions: 52, retprobe: false }),
  linkAnswer(15, "uretprobe.multi", {
    target: "libc",
    pattern: "pthread_mutex_*",
    functions: 12,
    pid: null,
    retprobe: true,
    container_pid: null,
  }),
  linkAnswer(5, "kretprobe", { fn_name: "try_to_wake_up", offset: 0, retprobe: true }),
  linkAnswer(6, "uprobe", {
    target: "libc.so.6",
    fn_name: "malloc",
    offset: 16,
    pid: 4711,
    retprobe: false,
    container_pid: null,
  }),
  linkAnswer(7, "uprobe", {
    target: "/usr/bin/bash",
    fn_name: null,
    offset: 0x1234,
    pid: null,
    retprobe: false,
    container_pid: 815,
  }),
  linkAnswer(8, "fentry", { fn_name: "do_unlinkat" }),
  linkAnswer(9, "cgroup_sock_addr", {
    cgroup: "/sys/fs/cgroup/system.slice",
    cgroup_id: 42,
    attach_type: "cgroup_inet4_connect",
    priority: 1000,
    position: 0,
  }),
  linkAnswer(10, "sk_lookup", { netns: "/run/netns/blue", nsid: 4026532193 }),
  linkAnswer(11, "netfilter", {
    protocol: "ipv4",
    hook: "prerouting",
    priority: -128,
    defrag: true,
    netns: null,
    nsid: 4026531840,
  }),
];

export const programAnswer: ProgramAnswer = {
  record: programRecord,
  status: {
    kernel: kernelProgram,
    stats: null,
    prog_pin: "/run/bpfman/fs/prog_6321",
    map_dir: "/run/bpfman/fs/maps/6321",
    bytecode: "/var/lib/bpfman/bytecode/sha256/9f2c4f0d6f3b5a7e8c1d2b3a4f5e6d7c8b9a0f1e2d3c4b5a69788796a5b4c3d2",
    prog_pin_present: true,
    map_dir_present: true,
    bytecode_present: true,
    links: [tcxLink],
    maps: [],
    map_used_by: [6321, 6322],
  },
};

/** A program that bpfman did not load. */
export const foreignProgram: ProgramAnswer = {
  record: null,
  status: {
    kernel: {
      ...kernelProgram,
      id: 12,
      name: "",
      program_type: "cgroupskb",
      has_map_ids: false,
      map_ids: [],
      has_btf_id: false,
      btf_id: 0,
      has_memlock: false,
      memlock: 0,
      jited_size: 0,
    },
    stats: null,
    prog_pin: null,
    map_dir: null,
    bytecode: null,
    prog_pin_present: false,
    map_dir_present: false,
    bytecode_present: false,
    links: [],
    maps: [],
    map_used_by: [],
  },
};

const works = { available: true, reason: null };
const refused = { available: false, reason: "EPERM" };

export const featuresAnswer: FeaturesAnswer = {
  ext: works,
  tracing: refused,
  lsm: { load: refused, active: { available: false, reason: "not among the active security modules (yama)" } },
  tcx: works,
  kprobe: works,
  perf_link: works,
  btf: works,
  jit: works,
  bpffs: works,
  lockdown: "none",
  capabilities: ["CAP_NET_ADMIN", "CAP_BPF"],
};

export const versionAnswer: VersionAnswer = {
  version: "0.1.0",
  commit: "0123456789ab",
  bun: "1.4.5",
  libbpf: "1.1.2",
  kernel: "6.12.0",
  arch: "x86_64",
  features: null,
};
