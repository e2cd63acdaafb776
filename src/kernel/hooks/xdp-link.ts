import type { XdpMode } from "../../domain/config.ts";
import { objectIds, withObject } from "../../../ffi/safe/bpf.ts";
import { interfaceXdp, isHeldByLink } from "../../../ffi/safe/interface-xdp.ts";
import { closeFd } from "../../../ffi/safe/libc.ts";
import { createXdpLink, replaceLinkProgram } from "../../../ffi/safe/bpf-link.ts";
import { withNetns } from "../../../ffi/safe/netns.ts";
import { linkInfo, programInfo } from "../../../ffi/safe/object-info.ts";
import { loadProgram } from "../../../ffi/safe/bpf-program.ts";
import { type KernelLinkId, kernelLinkId, type ProgramId, programId } from "../../domain/ids.ts";
import type { Pin } from "../../domain/pin.ts";
import type { SysFailure } from "../../errors/error.ts";
import type { AttachedLink, InterfaceHook, XdpHolder } from "../../platform/kernel.ts";
import { attempt, type Meaning } from "../kernel-failure.ts";
import { commandFor, describeInterface, explainHook, unlessGone } from "./interface-hook.ts";
import { attachedLink } from "../read-info.ts";
import { withPinned } from "../pin.ts";
import { NOTHING } from "../explain/trial-programs.ts";

/**
 * Finds the link that attaches this program to an interface. The kernel does not report the namespace of a link's
 * interface, so links of the same program on interfaces with the same index are indistinguishable. Returns null in that
 * case, and if there is no link.
 */
function linkOn(hook: InterfaceHook, mode: XdpMode, program: number): KernelLinkId | null {
  const found = objectIds("link").filter((id) => {
    const info = withObject("link", id, linkInfo);
    return info?.facts?.kind === "xdp" && info.facts.ifindex === hook.ifindex && info.programId === program;
  });
  const [link] = found;
  if (link === undefined || found.length > 1) return null;
  const other = loadProgram({ type: "XDP", instructions: NOTHING });
  try {
    const held = unlessGone(hook, () => isHeldByLink(hook.ifindex, { mode, other }));
    return held ? kernelLinkId(link) : null;
  } finally {
    closeFd(other);
  }
}

/** Returns the program on the XDP hook; the driver's if both driver and NIC have one. Null if there is none. */
export function xdpHolder(hook: InterfaceHook): XdpHolder | null {
  const action = `read the XDP hook of ${describeInterface(hook)}`;
  return attempt({ action, code: "KERNEL_CALL_FAILED" }, () => {
    const [holder] = unlessGone(hook, () => interfaceXdp(hook.ifindex))?.programs ?? [];
    if (holder === undefined) return null;
    return {
      program: programId(holder.programId),
      link: linkOn(hook, holder.mode, holder.programId),
      mode: holder.mode,
    };
  });
}

const MODE_WORDS = {
  drv: "the driver does not support XDP",
  skb: "the interface does not support generic XDP",
  // A NIC only accepts programs loaded for it, and none supports extensions or a dispatcher's calls.
  hw: "programs cannot be offloaded to the network card",
} as const satisfies Record<XdpMode, string>;

/** The name used by both bpfman's dispatcher and libxdp's. */
const DISPATCHER_NAME = "xdp_dispatcher";

/** Explains what is in the way, and which tool removes it. */
function explainBusy(hook: InterfaceHook): Meaning {
  const holder = xdpHolder(hook);
  if (holder === null) {
    return {
      code: "HOOK_BUSY",
      reason: "a device above it, such as a bond or a bridge, has an XDP program",
      hint: "attach to that device, or detach its program first",
    };
  }
  const { program, link, mode } = holder;
  const name = withObject("program", program, programInfo)?.name ?? "";
  const details = { program, name, link, mode };
  const how = link === null ? "without a link" : `by link ${link}`;
  const reason = `program ${program} "${name}" is already on that hook, attached ${how} (${mode})`;
  if (name === DISPATCHER_NAME) {
    return {
      code: "HOOK_BUSY",
      reason: `${reason}: a dispatcher of xdp-loader or of another bpfman`,
      hint: 'see "bpfman dispatcher list --all" and "xdp-loader status"; detach it with the tool that attached it',
      details,
    };
  }
  return {
    code: "HOOK_BUSY",
    reason,
    hint:
      link === null
        ? `${commandFor(hook, (dev) => `ip link set dev ${dev} xdp off`)} removes it`
        : `see "bpftool link show id ${link}"; it goes away when the process that holds the link exits, or its pin is removed`,
    details,
  };
}

const unsupported = (mode: XdpMode): Meaning => ({
  code: "KERNEL_UNSUPPORTED",
  reason: MODE_WORDS[mode],
  ...(mode === "skb"
    ? {}
    : { hint: 'use mode skb: --xdp-mode skb, or xdp_mode = "skb" for this interface in the configuration' }),
});

const TOO_LARGE: Meaning = {
  code: "ATTACH_FAILED",
  reason: "the driver cannot run it at this MTU",
  hint: "lower the MTU, or use only programs in section xdp.frags on this hook",
};

function explainAttach(hook: InterfaceHook & { readonly mode: XdpMode }, sys: SysFailure): Meaning | null {
  switch (sys.name) {
    case "EBUSY":
    case "EEXIST":
      return explainBusy(hook);
    case "EOPNOTSUPP":
      return unsupported(hook.mode);
    case "EINVAL":
      if (sys.call === "setns") return explainHook(sys);
      // The kernel also returns this errno if the interface does not exist.
      if (unlessGone(hook, () => interfaceXdp(hook.ifindex)) === null) {
        return { code: "INTERFACE_NOT_FOUND", reason: "there is no such interface" };
      }
      return hook.mode === "hw" ? unsupported("hw") : null;
    case "ERANGE":
      return TOO_LARGE;
    default:
      return explainHook(sys);
  }
}

/** Throws HOOK_BUSY, KERNEL_UNSUPPORTED (unsupported mode), INTERFACE_NOT_FOUND, NETNS_NOT_FOUND, ATTACH_FAILED. */
export function attachXdp(program: Pin, hook: InterfaceHook & { readonly mode: XdpMode }): AttachedLink {
  const action = `attach to XDP (${hook.mode}) of ${describeInterface(hook)}`;
  const explain = (sys: SysFailure) => explainAttach(hook, sys);
  return withPinned(action, program, (fd) =>
    attachedLink(
      attempt({ action, code: "ATTACH_FAILED", explain }, () => withNetns(hook.netns, () => createXdpLink(fd, hook))),
    ),
  );
}

/** What ENOLINK means, by what the link is attached to. */
const GONE = {
  xdp: { code: "INTERFACE_NOT_FOUND", reason: "the interface has gone" },
  tcx: { code: "INTERFACE_NOT_FOUND", reason: "the interface has gone" },
  cgroup: { code: "CGROUP_NOT_FOUND", reason: "the cgroup has gone" },
  netns: { code: "NETNS_NOT_FOUND", reason: "the network namespace has gone" },
} as const;

function explainGone(link: number): Meaning | null {
  const kind = linkInfo(link).facts?.kind ?? "";
  return Object.hasOwn(GONE, kind) ? { ...GONE[kind as keyof typeof GONE], hint: "detach the link" } : null;
}

/** Throws STATE_CONFLICT if the link does not run `old`, INTERFACE_NOT_FOUND and the like, ATTACH_FAILED. */
export function swapProgram(pinned: Pin, programs: { readonly old: Pin | ProgramId; readonly next: Pin }): void {
  const action = `swap the program of the link "${pinned.path}"`;
  const withOld = (work: (old: number) => void): void => {
    if (typeof programs.old !== "number") withPinned(action, programs.old, work);
    else attempt({ action, code: "KERNEL_CALL_FAILED" }, () => withObject("program", programs.old as ProgramId, work));
  };
  withPinned(action, pinned, (link) =>
    withOld((old) =>
      withPinned(action, programs.next, (next) => {
        const explain = (sys: SysFailure): Meaning | null => {
          if (sys.name === "ENOLINK") return explainGone(link);
          if (sys.name === "ERANGE") return TOO_LARGE;
          // The kernel returns one errno both for policy and for a link that runs another program.
          const runs = linkInfo(link).programId;
          const expected = programInfo(old).id;
          if (sys.name !== "EPERM" || runs === expected) return null;
          return {
            code: "STATE_CONFLICT",
            reason: `it runs program ${runs}, not ${expected}`,
            details: { runs, expected },
          };
        };
        attempt({ action, code: "ATTACH_FAILED", explain }, () => replaceLinkProgram(link, { old, next }));
      }),
    ),
  );
}
