import type { KernelLinkId, MapId, ProgramId } from "./ids.ts";

/** The objects that can be pinned in a bpffs. */
export type PinnedKind = "program" | "map" | "link";

/**
 * A pin and the object expected behind it. Any root process can pin another object at the path, but the kernel does not
 * give an ID to a second object while the first one exists.
 */
export interface Pin {
  readonly path: string;
  readonly kind: PinnedKind;
  readonly id: number;
}

export const programPin = (path: string, id: ProgramId): Pin => ({ path, kind: "program", id });
export const mapPin = (path: string, id: MapId): Pin => ({ path, kind: "map", id });
export const linkPin = (path: string, id: KernelLinkId): Pin => ({ path, kind: "link", id });
