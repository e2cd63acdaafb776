import { createNetnsLink } from "../../../ffi/safe/bpf-link.ts";
import { withNetnsFile } from "../../../ffi/safe/netns.ts";
import type { SysFailure } from "../../errors/error.ts";
import type { KernelAttach } from "../../platform/kernel.ts";
import { attempt, type Meaning } from "../kernel-failure.ts";
import { describeNetns, explainHook } from "./interface-hook.ts";

export type SkLookupAttach = Extract<KernelAttach, { kind: "sk_lookup" }>;

function explain(sys: SysFailure): Meaning | null {
  if (sys.name === "E2BIG")
    return { code: "ATTACH_FAILED", reason: "it has 64 programs, as many as the kernel allows" };
  return explainHook(sys);
}

/** Returns the descriptor of the new link. Throws NETNS_NOT_FOUND, ATTACH_FAILED. */
export const attachSkLookup = (program: number, { netns }: SkLookupAttach): number =>
  attempt({ action: `attach sk_lookup to ${describeNetns(netns)}`, code: "ATTACH_FAILED", explain }, () =>
    withNetnsFile(netns, (file) => createNetnsLink(program, file, "SK_LOOKUP")),
  );
