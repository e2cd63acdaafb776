import { readFileSync } from "node:fs";

/** include/uapi/linux/capability.h */
const CAP_SYS_ADMIN = 21n;
const CAP_PERFMON = 38n;
const CAP_BPF = 39n;

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

/** What this process and this kernel say about their own limits. */
interface Evidence {
  /** Of the capabilities that bpf(2) asks for, those that are missing. */
  readonly missing: readonly string[];
  /** `integrity`, `confidentiality`; null when the kernel is not locked down. */
  readonly lockdown: string | null;
  /** System calls are filtered, as in most containers. */
  readonly seccomp: boolean;
}

function gather(): Evidence {
  const status = read("/proc/self/status");
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? "0"}`);
  const has = (capability: bigint) => ((effective >> capability) & 1n) === 1n;
  const parts = { CAP_BPF, CAP_PERFMON };
  const missing = has(CAP_SYS_ADMIN) ? [] : Object.entries(parts).flatMap(([name, bit]) => (has(bit) ? [] : [name]));
  const lockdown = /\[(integrity|confidentiality)\]/.exec(read("/sys/kernel/security/lockdown"))?.[1] ?? null;
  return { missing, lockdown, seccomp: /^Seccomp:\s*2$/m.test(status) };
}

/** Why the kernel may have said EPERM, as a hint: from capabilities, lockdown and seccomp, in this order. */
export function permissionHint(): string {
  const { missing, lockdown, seccomp } = gather();
  if (missing.length > 0)
    return `this process lacks ${missing.join(" and ")}: run it as root, or with these capabilities`;
  if (lockdown !== null) return `the kernel is locked down (${lockdown}), see kernel_lockdown(7)`;
  if (seccomp)
    return "system calls of this process are filtered (seccomp): let the container use bpf and perf_event_open";
  return "this process has the capabilities, so a policy of this kernel refuses it: a security module, or how it was built";
}
