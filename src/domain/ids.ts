/** Identifiers: branded numbers, so that IDs of different kinds cannot be confused. */

declare const brand: unique symbol;
type Branded<Name extends string> = number & { readonly [brand]: Name };

/** The kernel's ID of a loaded BPF program (u32, reused after a reboot). bpfman uses it as its own program ID. */
export type ProgramId = Branded<"ProgramId">;
/** The kernel's ID of a BPF map (u32). */
export type MapId = Branded<"MapId">;
/** bpfman's own ID of a link: small, ascending, never reused, not even after a reboot. */
export type LinkId = Branded<"LinkId">;
/** The kernel's ID of a bpf_link (u32). Not interchangeable with {@link LinkId}. */
export type KernelLinkId = Branded<"KernelLinkId">;

export const programId = (value: number): ProgramId => value as ProgramId;
export const mapId = (value: number): MapId => value as MapId;
export const linkId = (value: number): LinkId => value as LinkId;
export const kernelLinkId = (value: number): KernelLinkId => value as KernelLinkId;

/**
 * Identifies a process on this machine even if its PID is reused: `PID:START:NAMESPACE`, with the start time in clock
 * ticks since boot and the inode of the PID namespace the PID belongs to.
 */
export type ProcessIdentity = string;

const UNFINISHED = "change:";
/** The owner of what one change makes until all of it is there, in place of the process whose session it belongs to. */
export const unfinishedOwner = (operationId: string): ProcessIdentity => `${UNFINISHED}${operationId}`;
export const isUnfinished = (owner: ProcessIdentity): boolean => owner.startsWith(UNFINISHED);
