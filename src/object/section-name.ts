import type { SectionKind } from "../domain/object-file.ts";

/**
 * What the part of a section name before the first slash says, after libbpf's `section_defs` (libbpf 1.1 to 1.7) and the
 * longer forms that older loaders took (`xdp/name`, `classifier/name`). `action` is a TC program all the same.
 */
const HEADS: Readonly<Record<SectionKind, string>> = {
  xdp: "xdp xdp.frags",
  tc: "tc classifier action",
  tcx: "tcx",
  tracepoint: "tracepoint tp",
  kprobe: "kprobe ksyscall",
  kretprobe: "kretprobe kretsyscall",
  uprobe: "uprobe uprobe.s",
  uretprobe: "uretprobe uretprobe.s",
  fentry: "fentry fentry.s",
  fexit: "fexit fexit.s",
  lsm: "lsm lsm.s",
  unmanaged:
    "socket sockops sk_lookup sk_msg sk_reuseport sk_skb cgroup cgroup_skb lsm_cgroup " +
    "netfilter netkit flow_dissector lwt_in lwt_out lwt_xmit lwt_seg6local lirc_mode2 " +
    "kprobe.multi kretprobe.multi kprobe.session usdt usdt.s " +
    "uprobe.multi uprobe.multi.s uretprobe.multi uretprobe.multi.s uprobe.session uprobe.session.s " +
    "raw_tp raw_tp.w raw_tracepoint raw_tracepoint.w tp_btf perf_event " +
    "fmod_ret fmod_ret.s fsession fsession.s freplace iter iter.s struct_ops struct_ops.s syscall",
};

const KINDS: ReadonlyMap<string, SectionKind> = new Map(
  (Object.keys(HEADS) as SectionKind[]).flatMap((kind) => HEADS[kind].split(" ").map((head) => [head, kind])),
);

/** XDP programs that hang on entries of a map, not on an interface. */
const XDP_IN_MAPS = ["devmap", "cpumap"];

export interface SectionName {
  /** Null when no prefix fits. */
  readonly kind: SectionKind | null;
  /** What stands behind the prefix's slash; null when there is nothing. */
  readonly target: string | null;
}

/** What the name of an executable section says of the programs in it. A leading `?` only means "do not load unasked". */
export function parseSectionName(section: string): SectionName {
  const name = section.startsWith("?") ? section.slice(1) : section;
  const slash = name.indexOf("/");
  const head = slash < 0 ? name : name.slice(0, slash);
  const target = slash < 0 ? "" : name.slice(slash + 1);
  const kind = KINDS.get(head) ?? null;
  return {
    kind: kind === "xdp" && XDP_IN_MAPS.includes(target) ? "unmanaged" : kind,
    target: target === "" ? null : target,
  };
}
