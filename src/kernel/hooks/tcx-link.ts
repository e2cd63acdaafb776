import { createTcxLink, type HookName, queryHook } from "../../../ffi/safe/bpf-link.ts";
import { withNetns } from "../../../ffi/safe/netns.ts";
import { kernelLinkId, programId } from "../../domain/ids.ts";
import type { SysFailure } from "../../errors/error.ts";
import { sysFailure } from "../../errors/sys-failure.ts";
import type { KernelAttach, TcHook, HookState } from "../../platform/kernel.ts";
import { attempt, type Meaning } from "../kernel-failure.ts";
import { describeInterface, explainHook } from "./interface-hook.ts";

export type TcxAttach = Extract<KernelAttach, { kind: "tcx" }>;

const hookOf = (hook: TcHook): HookName => (hook.direction === "ingress" ? "TCX_INGRESS" : "TCX_EGRESS");

const describe = (hook: TcHook): string => `TCX ${hook.direction} of ${describeInterface(hook)}`;

function explainQuery(sys: SysFailure): Meaning | null {
  if (sys.name !== "EINVAL" || sys.call === "setns") return explainHook(sys);
  return {
    code: "KERNEL_UNSUPPORTED",
    reason: "TCX needs Linux 6.6 or newer",
    hint: 'attach it with "tc" instead',
  };
}

/** Throws KERNEL_UNSUPPORTED, NETNS_NOT_FOUND, INTERFACE_NOT_FOUND. */
export function tcxState(hook: TcHook): HookState {
  const query = { action: `read ${describe(hook)}`, code: "KERNEL_CALL_FAILED", explain: explainQuery } as const;
  const state = attempt(query, () => withNetns(hook.netns, () => queryHook(hook.ifindex, hookOf(hook))));
  return {
    revision: state.revision,
    members: state.members.map(({ programId: program, linkId: link }) => ({
      program: programId(program),
      link: link === 0 ? null : kernelLinkId(link),
    })),
  };
}

function explainAttach(sys: SysFailure): Meaning | null {
  switch (sys.name) {
    case "ESTALE":
      return { code: "HOOK_CHANGED", reason: "another process changed the hook" };
    case "ENOENT":
      // ENOENT of `open` concerns the namespace's path; otherwise the neighbour no longer exists.
      if (sys.call === "open") return explainHook(sys);
      return { code: "HOOK_CHANGED", reason: "its neighbour in the chain is gone" };
    case "EEXIST":
      return {
        code: "ALREADY_ATTACHED",
        reason: "the program is already on that hook",
        hint: "TCX takes each program once",
      };
    case "ERANGE":
      return { code: "ATTACH_FAILED", reason: "the hook is full", hint: "TCX takes 63 programs on one hook" };
    default:
      return explainHook(sys);
  }
}

/**
 * Returns the descriptor of the new link. Throws like {@link tcxState}, and HOOK_CHANGED, ALREADY_ATTACHED,
 * ATTACH_FAILED.
 */
export function attachTcx(program: number, target: TcxAttach): number {
  const { anchor, ifindex, revision } = target;
  const beside = anchor.side === "last" ? null : { side: anchor.side, linkId: anchor.link };
  const place = { ifindex, revision, hook: hookOf(target), beside };
  const create = { action: `attach to ${describe(target)}`, code: "ATTACH_FAILED", explain: explainAttach } as const;
  return attempt(create, () =>
    withNetns(target.netns, () => {
      try {
        return createTcxLink(program, place);
      } catch (thrown) {
        // A kernel without TCX returns EINVAL for both, but for a query that has only one meaning.
        if (sysFailure(thrown)?.name === "EINVAL") {
          attempt({ ...create, explain: explainQuery }, () => queryHook(ifindex, place.hook));
        }
        throw thrown;
      }
    }),
  );
}
