/** Bits of the capabilities that BPF asks for (include/uapi/linux/capability.h). */
const BITS = { CAP_NET_ADMIN: 12n, CAP_SYS_ADMIN: 21n, CAP_SYS_RESOURCE: 24n, CAP_PERFMON: 38n, CAP_BPF: 39n } as const;

export type Capability = keyof typeof BITS;

/** Of the capabilities that BPF asks for, those in effect: from the text of /proc/PID/status. */
export function effectiveCapabilities(status: string): Capability[] {
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? "0"}`);
  return (Object.keys(BITS) as Capability[]).filter((name) => ((effective >> BITS[name]) & 1n) === 1n);
}
