/** Linux capabilities (capabilities(7)): those that BPF requires, and which of them a process has. */

/** Bit numbers (include/uapi/linux/capability.h). */
const BITS = { CAP_NET_ADMIN: 12, CAP_SYS_ADMIN: 21, CAP_SYS_RESOURCE: 24, CAP_PERFMON: 38, CAP_BPF: 39 } as const;

export type Capability = keyof typeof BITS;

/** Returns a set as hexadecimal digits. Each command does this, and a regular expression would take longer. */
function setOf(status: string, line: "CapEff" | "CapAmb"): string {
  const [, after = ""] = status.split(`${line}:`, 2);
  return after.split("\n", 1)[0]?.trim() || "0";
}

const hasBit = (digits: string, bit: number): boolean =>
  ((Number.parseInt(digits.at(-1 - Math.floor(bit / 4)) ?? "0", 16) >> (bit % 4)) & 1) === 1;

/** Returns the effective capabilities among those that BPF requires, from the text of /proc/PID/status. */
export function effectiveCapabilities(status: string): Capability[] {
  const effective = setOf(status, "CapEff");
  return (Object.keys(BITS) as Capability[]).filter((name) => hasBit(effective, BITS[name]));
}

/**
 * Reports whether the process owes its rights to its executable file, from the text of /proc/PID/status: the file is
 * setuid, or has file capabilities. A user other than root has only ambient capabilities from whoever started it.
 */
export function hasRightsOfFile(status: string): boolean {
  const [, real, effective] = /^Uid:\s*(\d+)\s+(\d+)/m.exec(status) ?? [];
  return (
    real !== effective ||
    (effective !== "0" && (BigInt(`0x${setOf(status, "CapEff")}`) & ~BigInt(`0x${setOf(status, "CapAmb")}`)) !== 0n)
  );
}

/**
 * Returns those of `needed` that are missing. CAP_SYS_ADMIN stands for all of them: the kernel accepts it in place of
 * the others wherever BPF is concerned (bpf_token_capable), except for TC filters, where an EPERM says so.
 */
export const missingCapabilities = (
  needed: readonly Capability[],
  effective: readonly Capability[],
): readonly Capability[] =>
  effective.includes("CAP_SYS_ADMIN") ? [] : needed.filter((name) => !effective.includes(name));
