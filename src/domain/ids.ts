/** Identifiers. Each is a plain number with a brand, so that one kind is never taken for another. */

declare const brand: unique symbol;
type Branded<Name extends string> = number & { readonly [brand]: Name };

/** The kernel's id of a loaded BPF program (u32, re-used after a reboot). bpfman shows it as its own. */
export type ProgramId = Branded<"ProgramId">;
/** The kernel's id of a BPF map (u32). */
export type MapId = Branded<"MapId">;
/** bpfman's own id of an attachment: small, ascending, never re-used, also not after a reboot. */
export type LinkId = Branded<"LinkId">;
/** The kernel's id of a bpf_link (u32). Never interchangeable with {@link LinkId}. */
export type KernelLinkId = Branded<"KernelLinkId">;

export const programId = (value: number): ProgramId => value as ProgramId;
export const mapId = (value: number): MapId => value as MapId;
export const linkId = (value: number): LinkId => value as LinkId;
export const kernelLinkId = (value: number): KernelLinkId => value as KernelLinkId;

/**
 * Names a process on this machine beyond the re-use of pids: `PID:START:NAMESPACE`, the start in clock ticks since boot,
 * the namespace as the inode of the PID namespace that the pid means something in.
 */
export type ProcessIdentity = string;
