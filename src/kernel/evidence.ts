import { readFileSync } from "node:fs";
import type { ProgramType } from "../domain/program.ts";
import type { FeatureName } from "../platform/kernel.ts";
import { type Capability, effectiveCapabilities } from "./capabilities.ts";
import { feature } from "./features.ts";
import { lockdown } from "./security.ts";

/** What the kernel asks of who loads a program; CAP_SYS_ADMIN stands for all of it. */
const NEEDS = {
  network: ["CAP_BPF", "CAP_NET_ADMIN"],
  other: ["CAP_BPF", "CAP_PERFMON"],
} as const satisfies Record<string, readonly Capability[]>;

const isNetwork = (type: ProgramType | null): boolean => type === "xdp" || type === "tc" || type === "tcx";

function missingCapabilities(status: string, type: ProgramType | null): Capability[] {
  const effective = effectiveCapabilities(status);
  if (effective.includes("CAP_SYS_ADMIN")) return [];
  return NEEDS[isNetwork(type) ? "network" : "other"].filter((name) => !effective.includes(name));
}

/** The kinds of program that a kernel may refuse although it takes others, and how to find out. */
const REFUSABLE: Partial<Record<ProgramType, { readonly trial: FeatureName; readonly named: string }>> = {
  fentry: { trial: "tracing", named: "TRACING programs (fentry, fexit)" },
  fexit: { trial: "tracing", named: "TRACING programs (fentry, fexit)" },
  lsm: { trial: "lsm", named: "LSM programs" },
};

/** The kind, when this kernel refuses all of it and takes other programs; null when nothing can be said. */
function refusedKind(type: ProgramType | null): string | null {
  const kind = type === null ? undefined : REFUSABLE[type];
  if (kind === undefined) return null;
  return feature(kind.trial).reason === "EPERM" && feature("jit").reason !== "EPERM" ? kind.named : null;
}

const lockdownText = (state: string | null): string =>
  state === null || state === "none" ? "it is not locked down" : `it is locked down (${state}), see kernel_lockdown(7)`;

/**
 * Why the kernel may have said EPERM, as a hint: from capabilities, a trial of the kind of program, lockdown and
 * seccomp, in this order. `type` is that of the program, where there is one.
 */
export function permissionHint(type: ProgramType | null): string {
  const status = readFileSync("/proc/self/status", "utf8");
  const missing = missingCapabilities(status, type);
  if (missing.length > 0)
    return `this process lacks ${missing.join(" and ")}: run it as root, or with these capabilities`;
  const state = lockdown();
  const refused = refusedKind(type);
  if (refused !== null)
    return `this process has the capabilities, but a policy of this kernel refuses all ${refused}, even an empty one; ${lockdownText(state)}`;
  if (state !== null && state !== "none") return `the kernel is locked down (${state}), see kernel_lockdown(7)`;
  if (/^Seccomp:\s*2$/m.test(status))
    return "system calls of this process are filtered (seccomp): let the container use bpf and perf_event_open";
  return "this process has the capabilities, so a policy of this kernel refuses it: a security module, or how it was built";
}
