import { KINDS, PROGRAM_TYPES, sectionParts } from "../domain/kinds.ts";
import type { SectionKind } from "../domain/object-file.ts";

/** Sections that libbpf (1.1 to 1.7) supports for programs that bpfman does not load. */
export const UNMANAGED_SECTIONS = (
  "socket sockops sk_lookup sk_msg sk_reuseport sk_skb cgroup cgroup_skb lsm_cgroup " +
  "netfilter netkit flow_dissector lwt_in lwt_out lwt_xmit lwt_seg6local lirc_mode2 " +
  // XDP programs that are attached to map entries, not to interfaces.
  "xdp/devmap xdp/cpumap xdp.frags/devmap xdp.frags/cpumap " +
  "kprobe.multi kretprobe.multi kprobe.session usdt usdt.s " +
  "uprobe.multi uprobe.multi.s uretprobe.multi uretprobe.multi.s uprobe.session uprobe.session.s " +
  "tp_btf perf_event " +
  "fmod_ret fmod_ret.s fsession fsession.s freplace iter iter.s struct_ops struct_ops.s syscall"
).split(" ");

const SECTIONS: ReadonlyMap<string, SectionKind> = new Map([
  ...UNMANAGED_SECTIONS.map((name) => [name, "unmanaged"] as const),
  ...PROGRAM_TYPES.flatMap((kind) => Object.keys(KINDS[kind].sections).map((name) => [name, kind] as const)),
]);

export interface SectionName {
  /** Null if no prefix matches. */
  readonly kind: SectionKind | null;
  /** The part after the slash of the prefix; null if there is none. */
  readonly target: string | null;
}

/**
 * Returns what the name of an executable section says about its programs: the full name, or the part before the first
 * slash.
 */
export function parseSectionName(section: string): SectionName {
  const { name, head, target } = sectionParts(section);
  return { kind: SECTIONS.get(name) ?? SECTIONS.get(head) ?? null, target };
}
