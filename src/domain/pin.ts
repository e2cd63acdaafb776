import type { KernelLinkId, MapId, ProgramId } from "./ids.ts";

/** What can be pinned in a BPF file system. */
export type PinnedKind = "program" | "map" | "link";

/**
 * A pin and what has to be behind it: anybody with root can put another object at a path, but the kernel gives an id to
 * no second object for as long as the first one is there.
 */
export interface Pin {
  readonly path: string;
  readonly kind: PinnedKind;
  readonly id: number;
}

export const programPin = (path: string, id: ProgramId): Pin => ({ path, kind: "program", id });
export const mapPin = (path: string, id: MapId): Pin => ({ path, kind: "map", id });
export const linkPin = (path: string, id: KernelLinkId): Pin => ({ path, kind: "link", id });
