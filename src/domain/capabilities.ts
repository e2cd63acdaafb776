/** Linux capabilities (capabilities(7)): those that BPF requires, and which of them a process has. */

/** Bit numbers (include/uapi/linux/capability.h). */
const BITS = { CAP_NET_ADMIN: 12, CAP_SYS_ADMIN: 21, CAP_SYS_RESOURCE: 24, CAP_PERFMON: 38, CAP_BPF: 39 } as const;

export type Capability = keyof typeof BITS;

/**
 * Returns what a line says, "" if there is none. Each command asks, and a regular expression would take longer. The name of the
 * process, which anybody can choose, can have the text of a line in it, but not its beginning.
 */
function lineOf(status: string, name: "CapEff" | "CapAmb" | "Uid"): string {
  const lines = `\n${status}\n`;
  const at = lines.indexOf(`\n${name}:`);
  return at < 0 ? "" : lines.slice(at + name.length + 2, lines.indexOf("\n", at + 1)).trim();
}

const hasBit = (digits: string, bit: number): boolean =>
  ((Number.parseInt(digits.at(-1 - Math.floor(bit / 4)) ?? "0", 16) >> (bit % 4)) & 1) === 1;

/** Returns the effective capabilities among those that BPF requires, from the text of /proc/PID/status. */
export function effectiveCapabilities(status: string): Capability[] {
  const effective = lineOf(status, "CapEff");
  return (Object.keys(BITS) as Capability[]).filter((name) => hasBit(effective, BITS[name]));
}

/**
 * Reports whether the process owes its rights to its executable file, from the text of /proc/PID/status: the file is
 * setuid, or has file capabilities. A user other than root has only ambient capabilities from whoever started it.
 */
export function hasRightsOfFile(status: string): boolean {
  const [real, effective] = lineOf(status, "Uid").split("\t");
  if (real !== effective) return true;
  const setOf = (line: "CapEff" | "CapAmb") => BigInt(`0x${lineOf(status, line) || "0"}`);
  return effective !== "0" && (setOf("CapEff") & ~setOf("CapAmb")) !== 0n;
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
