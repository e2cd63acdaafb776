import { withNetns } from "../../../ffi/safe/netns.ts";
import type { SysFailure } from "../../errors/error.ts";
import { NO_NAMESPACE, sysFailure } from "../../errors/sys-failure.ts";
import type { InterfaceHook } from "../../platform/kernel.ts";
import type { Meaning } from "../kernel-failure.ts";

/** Formats `interface "eth0" in "/run/netns/blue"`, with the index if the name is unknown. */
export function describeInterface({ interface: name, ifindex, netns }: InterfaceHook): string {
  return `interface ${name === undefined ? ifindex : `"${name}"`}${netns === null ? "" : ` in "${netns}"`}`;
}

export const describeNetns = (netns: string | null): string =>
  netns === null ? "this network namespace" : `network namespace "${netns}"`;

/** Formats a command of another tool to run in the hook's namespace, on its interface. */
export function commandFor(
  { interface: name = "NAME", netns }: InterfaceHook,
  words: (name: string) => string,
): string {
  return `"${netns === null ? "" : `nsenter --net=${netns} `}${words(name)}"`;
}

/** Explains failures that can occur when accessing any hook of an interface. */
export function explainHook(sys: SysFailure): Meaning | null {
  if (sys.call === "open" || sys.call === "setns") {
    const isNone = NO_NAMESPACE.includes(sys.name);
    return isNone ? { code: "NETNS_NOT_FOUND", reason: "the path is not a network namespace" } : null;
  }
  if (sys.name === "ENODEV") return { code: "INTERFACE_NOT_FOUND", reason: "there is no such interface" };
  return null;
}

/** Calls `run` in the hook's namespace; returns null if the namespace or the interface does not exist (any more). */
export function unlessGone<T>(hook: InterfaceHook, run: () => T): T | null {
  try {
    return withNetns(hook.netns, run);
  } catch (thrown) {
    const sys = sysFailure(thrown);
    const code = sys === null ? null : explainHook(sys)?.code;
    if (code === "NETNS_NOT_FOUND" || code === "INTERFACE_NOT_FOUND") return null;
    throw thrown;
  }
}
