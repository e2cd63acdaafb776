import type { Changes } from "../domain/change.ts";
import type { DispatcherKey, DispatcherRecord, FilterRef, SettledRevision } from "../domain/dispatcher.ts";
import type { KernelLinkId, LinkId, MapId, ProgramId } from "../domain/ids.ts";
import type { LinkDetails, LinkRecord } from "../domain/link.ts";
import type { Pin } from "../domain/pin.ts";
import type { Metadata, ProgramRecord, RowState } from "../domain/program.ts";
import type { ProgramType } from "../domain/kinds.ts";
import type { ProcessIdentity } from "../domain/session.ts";

/** A row of the append-only history. */
export interface OperationEntry {
  readonly operation: string;
  readonly startedAt: Date;
  readonly durationMs: number;
  readonly uid: number;
  readonly parentPid: number;
  /** `ok`, or the error code. */
  readonly result: string;
  /** Ids made or removed, instruction counts, times: plain JSON. */
  readonly details: Readonly<Record<string, unknown>>;
}

export interface ProgramSummary {
  readonly id: ProgramId;
  readonly name: string;
  readonly type: ProgramType;
  readonly metadata: Metadata;
  /** Its links, ascending. */
  readonly links: readonly LinkId[];
}

/** As much of a row as tells whether it needs looking after. */
export type RowInBrief = {
  /** Of a chain: `pending` while a revision is being made. */
  readonly state: RowState;
  /** The process to whose session it belongs. */
  readonly owner: ProcessIdentity | null;
} & (
  | {
      readonly kind: "program";
      readonly id: ProgramId;
      readonly pinPath: string;
      readonly mapPinPath: string;
      readonly type: ProgramType;
    }
  | { readonly kind: "link"; readonly id: LinkId; readonly pinPath: string }
  | { readonly kind: "dispatcher" }
);

export interface LinkDraft {
  readonly programId: ProgramId;
  readonly details: LinkDetails;
  readonly metadata: Metadata;
  readonly createdAt: Date;
}

/**
 * What bpfman remembers. Rows carry the boot they belong to; every method here sees this boot's rows alone. Reads
 * answer rows in state `ready` unless they say otherwise. All calls are synchronous. Changing a row that is not there
 * throws STATE_CONFLICT, deleting one does nothing; a row that cannot be understood throws DATABASE_UNUSABLE.
 */
export interface StorePort {
  /** Runs `work` in one immediate transaction (for readers: on one snapshot); a throw rolls back. */
  transaction<T>(work: () => T): T;

  /** All rows in all states, by one cheap query: programs, links, chains; each ascending by id. */
  brief(): RowInBrief[];

  insertProgram(record: ProgramRecord, state: RowState): void;
  setProgramState(id: ProgramId, state: RowState): void;
  deleteProgram(id: ProgramId): void;
  program(id: ProgramId): ProgramRecord | null;
  /** Ascending by id. */
  programs(): ProgramRecord[];
  /** What a table of programs shows, ascending by id: much cheaper than whole records. */
  programSummaries(): ProgramSummary[];
  /** Pins of the maps of every program but this one, in any state; null when a row does not say what its maps are. */
  mapPinsOfOthers(id: ProgramId): string[] | null;
  /** Whether a row of any boot, in any state, has this program id: its bytecode is kept for as long. */
  namesBytecode(id: ProgramId): boolean;
  /** The map that programs of any state have at a path; null when no row that can be understood names one there. */
  mapPinnedAt(path: string): { readonly id: MapId; readonly foreign: boolean } | null;
  /** Rows that a running or dead command left on their way. */
  unsettledPrograms(): { readonly record: ProgramRecord; readonly state: RowState }[];
  /** Programs in any state that use the maps of `owner`, itself included. Ascending. */
  mapUsers(owner: ProgramId): ProgramId[];

  /** Writes a pending row and takes the next link id; `pinPath` is called with it. */
  insertLink(draft: LinkDraft, pinPath: (id: LinkId) => string): LinkRecord;
  /** The kernel's link exists and is about to be pinned: the row, still pending, says which one it is. */
  expectLink(id: LinkId, kernelLinkId: KernelLinkId): void;
  /** The kernel object exists and is pinned: the row becomes `ready`. */
  settleLink(id: LinkId, kernelLinkId: KernelLinkId): void;
  setLinkState(id: LinkId, state: RowState): void;
  deleteLink(id: LinkId): void;
  link(id: LinkId): LinkRecord | null;
  /** Ascending by id; of one program when given. */
  links(program?: ProgramId): LinkRecord[];
  unsettledLinks(): { readonly record: LinkRecord; readonly state: RowState }[];

  /** The chain of a hook, finished or in the making. */
  dispatcher(key: DispatcherKey): DispatcherRecord | null;
  /** All chains; by type, namespace and interface. */
  dispatchers(): DispatcherRecord[];
  /**
   * Writes that `revision + 1` is being made; makes the row for a hook that has none, of TC with the filter that it is
   * to have. Answers the row as it is now.
   */
  beginRevision(
    key: DispatcherKey,
    place: Pick<DispatcherRecord, "interface" | "netns"> & { readonly filter: FilterRef | null },
  ): DispatcherRecord;
  /** The pending revision is what runs now. */
  settleRevision(key: DispatcherKey, settled: SettledRevision): void;
  /** The pending revision will not be; a row that never had another goes. */
  abandonRevision(key: DispatcherKey): void;
  deleteDispatcher(key: DispatcherKey): void;
  /** Changes what a rebuild changes of a link, and makes it `ready`. */
  moveLink(id: LinkId, place: Pick<LinkRecord, "details" | "pinPath" | "kernelLinkId">): void;

  /** Remembers pins that no other row names, before they are made. */
  recordPins(pins: readonly Pin[]): void;
  /** Those at a path and below it, by path. */
  recordedPins(path: string): Pin[];
  /** Forgets those at a path and below it, after they have gone. */
  forgetPins(path: string): void;

  /** What belongs to the session of a process (`brief` has their names). */
  ownedBy(owner: ProcessIdentity): { readonly programs: ProgramRecord[]; readonly links: LinkRecord[] };

  /** At most `limit` entries of the change log after number `after`. Entries of earlier boots are left out. */
  changes(after: number, limit: number): Changes;

  appendOperation(entry: OperationEntry): void;
  /** The runtime directory is given up: it belongs to no database from now on. */
  disown(): void;
  close(): void;
}
