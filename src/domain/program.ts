import type { MapId, ProgramId } from "./ids.ts";
import type { ProgramType } from "./kinds.ts";

/** One `TYPE:NAME[:FUNCTION]` as it was asked for. */
export interface ProgramSelector {
  readonly type: ProgramType;
  readonly name: string;
  readonly attachFunction: string | null;
  /** The type the program is to have within its family, whatever its section says; else that decides. */
  readonly actualType?: ProgramType | null | undefined;
}

/** A selector checked against the object file: `type` is now what the program really is. */
export interface ProgramSpec {
  readonly name: string;
  readonly type: ProgramType;
  /** ELF section it stands in, e.g. `tracepoint/syscalls/sys_enter_openat`. */
  readonly section: string;
  readonly attachFunction: string | null;
}

/** Key/value pairs that users attach to programs and links. */
export type Metadata = Readonly<Record<string, string>>;

/** The metadata key that `--application` writes in the classic grammar. */
export const APPLICATION_KEY = "bpfman_application";
/** The one of the noun-verb grammar, which newer bpfman, its operator, and their users' scripts look for. */
export const NOUN_APPLICATION_KEY = "bpfman.io/application";

/** The application that a program or link belongs to, whichever grammar said so. */
export const applicationOf = (metadata: Metadata): string | null =>
  metadata[NOUN_APPLICATION_KEY] ?? metadata[APPLICATION_KEY] ?? null;

/** When a registry is asked for an image: each time, when it is not in the cache, or not at all. */
export const PULL_POLICIES = ["Always", "IfNotPresent", "Never"] as const;
export type PullPolicy = (typeof PULL_POLICIES)[number];

/** Where an image's bytes came from; null for local files. */
export interface ImageSource {
  readonly url: string;
  readonly digest: string;
  readonly pullPolicy: PullPolicy;
}

/** A map that a managed program uses, under its full name (the kernel keeps 15 characters). */
export interface ProgramMap {
  readonly id: MapId;
  readonly name: string;
  /** Pin path, or null for internal maps (.rodata, .data, .bss), which are not pinned. */
  readonly pinPath: string | null;
  /** Somebody else had pinned it there: bpfman uses the pin, and leaves it. */
  readonly foreign?: true;
}

/** What the store keeps of a program: what bpfman was asked for and what it made of it. */
export interface ProgramRecord {
  readonly id: ProgramId;
  readonly name: string;
  readonly type: ProgramType;
  readonly attachFunction: string | null;
  readonly section: string;
  /** bpfman's own copy of the object file. */
  readonly bytecodePath: string;
  /** The file as the user named it; null for images. */
  readonly sourcePath: string | null;
  /** That file from the root folder. */
  readonly absoluteSourcePath: string | null;
  readonly image: ImageSource | null;
  readonly license: string;
  readonly gplCompatible: boolean;
  readonly globals: Readonly<Record<string, Uint8Array>>;
  readonly pinPath: string;
  /** Folder of map pins that this program uses: its own, or its owner's. */
  readonly mapPinPath: string;
  /** The program that owns the maps; null when this one does. */
  readonly mapOwnerId: ProgramId | null;
  /** What `--map-owner-id` said; null when it was not given. */
  readonly requestedMapOwnerId: ProgramId | null;
  readonly maps: readonly ProgramMap[];
  readonly metadata: Metadata;
  readonly createdAt: Date;
  /**
   * When the kernel loaded it. The kernel counts from the boot, so that the time would be another one whenever somebody
   * sets the clock. Null in rows of versions that did not keep it.
   */
  readonly loadedAt: Date | null;
}

/**
 * Where a row stands. `pending`: intent written, kernel effects not finished. `ready`: consistent with the kernel.
 * `removing`: being taken away. Rows that are not `ready` belong to a running command or to one that died.
 */
export type RowState = "pending" | "ready" | "removing";
