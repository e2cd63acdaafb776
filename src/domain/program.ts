import type { MapId, ProgramId } from "./ids.ts";
import type { ProgramType } from "./kinds.ts";

/** A `[TYPE:]NAME[:FUNCTION]` as requested. */
export interface ProgramSelector {
  /** Null if the section says it. */
  readonly type: ProgramType | null;
  readonly name: string;
  /** Null if the section says it, or the type needs none. */
  readonly attachFunction: string | null;
  /** The type within the family that overrides what the section says; if absent, the section decides. */
  readonly actualType?: ProgramType | null | undefined;
}

/** A function of a loaded program. */
export interface PartReplaced {
  /** An ID or a name, as for other commands; in a record, the ID. */
  readonly program: string;
  readonly fnName: string;
}

/** Splits `PROGRAM/FUNCTION`, the `attachFunction` of an freplace program. Names of programs may have slashes. */
export function partReplaced(attachFunction: string): PartReplaced {
  const slash = attachFunction.lastIndexOf("/");
  return { program: attachFunction.slice(0, Math.max(0, slash)), fnName: attachFunction.slice(slash + 1) };
}

/** Stands for every program of an object, unless one is called that. */
export const EVERY_PROGRAM = "all";

export const isEveryProgram = ({ type, name }: Pick<ProgramSelector, "type" | "name">): boolean =>
  type === null && name === EVERY_PROGRAM;

/** A selector checked against the object file: `type` is the program's actual type. */
export interface ProgramSpec {
  readonly name: string;
  readonly type: ProgramType;
  /** ELF section that contains it, e.g. `tracepoint/syscalls/sys_enter_openat`. */
  readonly section: string;
  readonly attachFunction: string | null;
}

/** Key/value pairs that users attach to programs and links. */
export type Metadata = Readonly<Record<string, string>>;

/** The metadata key that `--application` writes in the classic grammar. */
export const APPLICATION_KEY = "bpfman_application";
/** The key in the noun-verb grammar, which newer bpfman, its operator, and their users' scripts look for. */
export const NOUN_APPLICATION_KEY = "bpfman.io/application";
/** The metadata key by which bpfman-operator's agent tells the programs of one application on a node. */
export const UUID_KEY = "bpfman.io/uuid";

/** Returns the application a program or link belongs to, under either key. */
export const applicationOf = (metadata: Metadata): string | null =>
  metadata[NOUN_APPLICATION_KEY] ?? metadata[APPLICATION_KEY] ?? null;

/** When to contact a registry for an image: always, if it is not cached, or never. */
export const PULL_POLICIES = ["Always", "IfNotPresent", "Never"] as const;
export type PullPolicy = (typeof PULL_POLICIES)[number];

/** Where an image came from; null for local files. */
export interface ImageSource {
  readonly url: string;
  readonly digest: string;
  readonly pullPolicy: PullPolicy;
}

/** A map used by a managed program, with its full name (the kernel truncates names to 15 characters). */
export interface ProgramMap {
  readonly id: MapId;
  readonly name: string;
  /** Pin path; null for internal maps (.rodata, .data, .bss), which are not pinned. */
  readonly pinPath: string | null;
  /** The map was already pinned by somebody else: bpfman uses the pin but never removes it. */
  readonly foreign?: true;
  /** How many entries it was asked to have, in place of what the object says. */
  readonly entries?: number;
}

/** The stored state of a program: what was requested and what bpfman did. */
export interface ProgramRecord {
  readonly id: ProgramId;
  readonly name: string;
  readonly type: ProgramType;
  readonly attachFunction: string | null;
  readonly section: string;
  /** bpfman's own copy of the object file, which all programs of the same file share. */
  readonly bytecodePath: string;
  /** The path as the user gave it; null for images. */
  readonly sourcePath: string | null;
  /** The absolute path of the same file. */
  readonly absoluteSourcePath: string | null;
  readonly image: ImageSource | null;
  readonly license: string;
  readonly gplCompatible: boolean;
  readonly globals: Readonly<Record<string, Uint8Array>>;
  readonly pinPath: string;
  /** Directory of the map pins this program uses: its own, or its map owner's. */
  readonly mapPinPath: string;
  /** The program that owns the maps; null if this one does. */
  readonly mapOwnerId: ProgramId | null;
  /** The value of `--map-owner-id`; null if it was not given. */
  readonly requestedMapOwnerId: ProgramId | null;
  readonly maps: readonly ProgramMap[];
  readonly metadata: Metadata;
  readonly createdAt: Date;
  /**
   * When the kernel loaded it. Stored, because the kernel counts from boot, so that computing the time again would give
   * another result whenever the clock is set. Null in rows of versions that did not store it.
   */
  readonly loadedAt: Date | null;
  /**
   * SHA-256 of the object file, in hexadecimal. Null in rows of versions that did not store it, and after `repair` found the
   * copy lost.
   */
  readonly bytecodeDigest: string | null;
  /** Whether it is to come back by itself after a reboot. */
  readonly keep: boolean;
}

/**
 * The same for all programs of one load, and for no others of their boot. They have their maps, time and object in common;
 * one that was loaded later, to share their maps, asked for these.
 */
export const loadKey = ({ mapPinPath, createdAt, bytecodeDigest, requestedMapOwnerId }: ProgramRecord): string =>
  JSON.stringify([mapPinPath, createdAt.getTime(), bytecodeDigest, requestedMapOwnerId]);

/**
 * State of a row. `pending`: intent written, kernel effects not finished. `ready`: consistent with the kernel.
 * `removing`: being removed. Rows that are not `ready` belong to a running command or to one that was killed.
 */
export type RowState = "pending" | "ready" | "removing";
