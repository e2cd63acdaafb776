import { type Capability, effectiveCapabilities, missingCapabilities } from "../../domain/capabilities.ts";
import { capabilitiesOf, factsOf, PROGRAM_TYPES, type ProgramType } from "../../domain/kinds.ts";
import { readFileSync } from "node:fs";
import type { FeatureName } from "../../platform/kernel.ts";
import { lockdown } from "./security.ts";
import { feature } from "./features.ts";

/** The attach types of programs that run from a trampoline, which a kernel may lack or forbid. */
const TRAMPOLINES: readonly unknown[] = ["TRACE_FENTRY", "TRACE_FEXIT", "MODIFY_RETURN"];

/** Returns the feature that tests a kind which a kernel may reject although it accepts others; null for other kinds. */
function trialOf(kind: ProgramType): FeatureName | null {
  const { programType, expectedAttachType } = factsOf(kind);
  if (programType === "LSM") return "lsm";
  return TRAMPOLINES.includes(expectedAttachType) ? "tracing" : null;
}

/**
 * Returns the kinds that this kernel rejects together with this one although it accepts other programs, as in
 * `TRACING programs (fentry, fexit)`; null if that cannot be determined.
 */
function refusedKinds(type: ProgramType | null): string | null {
  const trial = type === null ? null : trialOf(type);
  if (type === null || trial === null) return null;
  const kinds = PROGRAM_TYPES.filter((kind) => trialOf(kind) === trial);
  return feature(trial).reason === "EPERM" && feature("jit").reason !== "EPERM"
    ? `${factsOf(type).programType} programs (${kinds.join(", ")})`
    : null;
}

/** TC filters are changed by netlink, where CAP_SYS_ADMIN does not stand for CAP_NET_ADMIN. */
function missingOf(type: ProgramType | null, effective: readonly Capability[]): readonly Capability[] {
  const missing = missingCapabilities(type === null ? ["CAP_BPF", "CAP_PERFMON"] : capabilitiesOf(type), effective);
  return missing.length === 0 && type === "tc" && !effective.includes("CAP_NET_ADMIN") ? ["CAP_NET_ADMIN"] : missing;
}

/** user_namespaces(7): only the initial one maps all IDs to themselves. */
function isInitialUserNamespace(): boolean {
  const words = readFileSync("/proc/self/uid_map", "utf8").trim().split(/\s+/);
  return words.join(" ") === "0 0 4294967295";
}

const lockdownText = (state: string | null): string =>
  state === null || state === "none" ? "it is not locked down" : `it is locked down (${state}), see kernel_lockdown(7)`;

/**
 * Returns a hint why the kernel may have returned EPERM, determined from capabilities, a test of the program type,
 * lockdown and seccomp, in this order. `type` is the program's, if there is one.
 */
export function permissionHint(type: ProgramType | null): string {
  const status = readFileSync("/proc/self/status", "utf8");
  const effective = effectiveCapabilities(status);
  const missing = missingOf(type, effective);
  if (missing.length > 0)
    return `this process lacks ${missing.join(" and ")}: run it as root, or with these capabilities`;
  if (!isInitialUserNamespace())
    return "this process is in a user namespace, whose capabilities do not count for BPF: run it outside, as root";
  const state = lockdown();
  const mightNeed = effective.includes("CAP_SYS_ADMIN")
    ? ""
    : "; with CAP_SYS_ADMIN, which some kernels want for that, it may work";
  const refused = refusedKinds(type);
  if (refused !== null)
    return `this process has the capabilities, but a policy of this kernel forbids all ${refused}, even an empty one; ${lockdownText(state)}`;
  if (state !== null && state !== "none")
    return `the kernel is locked down (${state}), see kernel_lockdown(7)${mightNeed}`;
  if (/^Seccomp:\s*2$/m.test(status))
    return "seccomp filters this process's system calls: allow bpf and perf_event_open in the container";
  return `this process has the usual capabilities, so a policy of this kernel forbids it: a security module, or its build configuration${mightNeed}`;
}
