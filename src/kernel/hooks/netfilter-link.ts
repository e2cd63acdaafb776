import { createNetfilterLink } from "../../../ffi/safe/bpf-link.ts";
import { withNetns } from "../../../ffi/safe/netns.ts";
import { NETFILTER_HOOKS, NETFILTER_PROTOCOLS } from "../../domain/link.ts";
import type { SysFailure } from "../../errors/error.ts";
import type { KernelAttach } from "../../platform/kernel.ts";
import { attempt, type Meaning } from "../kernel-failure.ts";
import { describeNetns, explainHook } from "./interface-hook.ts";

export type NetfilterAttach = Extract<KernelAttach, { kind: "netfilter" }>;

function explain(sys: SysFailure, { protocol, priority, defrag }: NetfilterAttach): Meaning | null {
  if (sys.call === "open" || sys.call === "setns") return explainHook(sys);
  switch (sys.name) {
    case "EBUSY":
    case "EEXIST":
      return {
        code: "HOOK_BUSY",
        reason: `another BPF program has priority ${priority} there`,
        hint: 'the kernel gives a priority to one program: choose another, see "bpftool net show" and "bpfman list links"',
      };
    case "EOPNOTSUPP":
      if (!defrag)
        return { code: "KERNEL_UNSUPPORTED", reason: "this kernel was built without CONFIG_NETFILTER_BPF_LINK" };
      return { code: "KERNEL_UNSUPPORTED", reason: "defragmentation for a program needs Linux 6.6 or newer" };
    case "EAFNOSUPPORT":
    case "ENOENT":
      if (!defrag) return null;
      return {
        code: "KERNEL_UNSUPPORTED",
        reason: `this kernel cannot put fragments together: it lacks nf_defrag_${protocol} (CONFIG_NF_DEFRAG_${protocol.toUpperCase()})`,
      };
    case "EINVAL":
      if (!defrag) return null;
      // What request_module returns when modprobe fails (bpf_nf_enable_defrag, net/netfilter/nf_bpf_link.c).
      return {
        code: "KERNEL_UNSUPPORTED",
        reason: `the kernel could not load its module nf_defrag_${protocol}, which puts fragments together`,
        hint: `run "modprobe nf_defrag_${protocol}" to see why`,
      };
    default:
      return null;
  }
}

/** Returns the descriptor of the new link. Throws NETNS_NOT_FOUND, HOOK_BUSY, KERNEL_UNSUPPORTED, ATTACH_FAILED. */
export function attachNetfilter(program: number, target: NetfilterAttach): number {
  const { netns, protocol, hook, priority, defrag } = target;
  const action = `attach to netfilter ${protocol} ${hook} of ${describeNetns(netns)}`;
  const place = { protocol: NETFILTER_PROTOCOLS[protocol], hook: NETFILTER_HOOKS[hook], priority, defrag };
  return attempt({ action, code: "ATTACH_FAILED", explain: (sys) => explain(sys, target) }, () =>
    withNetns(netns, () => createNetfilterLink(program, place)),
  );
}
