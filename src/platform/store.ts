import type { XdpMode } from "../domain/config.ts";
import type { Changes } from "../domain/change.ts";
import type { OperationEntry, PastOperation } from "../domain/history.ts";
import type { DispatcherKey, DispatcherRecord, FilterRef, SettledRevision } from "../domain/dispatcher.ts";
import type { KernelLinkId, LinkId, MapId, ProcessIdentity, ProgramId } from "../domain/ids.ts";
import type { LinkDetails, LinkRecord } from "../domain/link.ts";
import type { Pin } from "../domain/pin.ts";
import type { Metadata, ProgramMap, ProgramRecord, RowState } from "../domain/program.ts";
import type { ProgramType } from "../domain/kinds.ts";
import type { VolumeRecord } from "../domain/volume.ts";

export interface ProgramSummary {
  readonly id: ProgramId;
  readonly name: string;
  readonly type: ProgramType;
  readonly metadata: Metadata;
  readonly createdAt: Date;
  /** Its links, ascending. */
  readonly links: readonly LinkId[];
}

/** The columns of a row that tell whether it needs attention. */
export type RowInBrief = {
  /** For a chain, `pending` while a revision is being created. */
  readonly state: RowState;
  /** The process whose session it belongs to. */
  readonly owner: ProcessIdentity | null;
} & (
  | {
      readonly kind: "program";
      readonly id: ProgramId;
      readonly pinPath: string;
      readonly mapPinPath: string;
      readonly bytecodePath: string;
      readonly type: ProgramType;
    }
  | { readonly kind: "link"; readonly id: LinkId; readonly pinPath: string }
  | { readonly kind: "dispatcher" }
  /** Only one that is being made or removed. */
  | { readonly kind: "volume" }
);

/** What all rows say together, to be compared with the pins that are there. */
export interface RowsInOutline {
  /** Chains, unfinished volumes, and rows that are not `ready` or have an owner: they are to be looked at one by one. */
  readonly unsettled: number;
  /** The IDs of all programs, separated by commas, in no particular order. */
  readonly programs: string;
  /** How many of them have another pin than what was given and their ID. */
  readonly pinnedElsewhere: number;
  /** The paths of the pins of links, in no particular order. */
  readonly links: readonly string[];
  /** The copies of their object files. */
  readonly bytecode: readonly string[];
}

export interface LinkDraft {
  readonly programId: ProgramId;
  readonly details: LinkDetails;
  readonly metadata: Metadata;
  readonly createdAt: Date;
  /** Of a link that is restored: the ID it had. */
  readonly id?: LinkId;
}

/** A program of an earlier boot. */
export interface EarlierRef {
  readonly bootId: string;
  /** The ID it had then. */
  readonly id: ProgramId;
}
/** A link that can be restored, under the ID it had. */
export interface EarlierLink {
  readonly record: LinkRecord;
  /** In which its chain ran; null for other kinds of links. */
  readonly xdpMode: XdpMode | null;
}
export interface EarlierProgram extends EarlierRef {
  readonly record: ProgramRecord;
  /** Ascending by ID. */
  readonly links: readonly EarlierLink[];
}

/** A row that waits to be restored and cannot be decoded. */
export interface UnreadableRow {
  readonly kind: "program" | "link";
  readonly bootId: string;
  /** The ID that the program or link had. */
  readonly id: number;
  /** Of the program, or of the link's program. */
  readonly name: string;
  readonly keep: boolean;
  /** Which column is wrong, and how. */
  readonly reason: string;
}

/** Programs and links of earlier boots, and what became of them. Rows that cannot be decoded hold up no others. */
export interface EarlierBoots {
  /**
   * Returns the programs that can be restored, with their links, in the order in which they were loaded: all of the newest
   * earlier boot that has any, without those of sessions; and older ones that could not be restored.
   */
  programs(): EarlierProgram[];
  /** Returns the links of programs of this boot that are still to be restored. */
  wishes(): EarlierLink[];
  /** Returns what the two methods above leave out. The links of an unreadable program are not among them. */
  unreadable(): UnreadableRow[];
  /** Puts a program in the place of one of an earlier boot, whose links wait from then on for this one. */
  comeBack(was: EarlierRef, now: ProgramId): void;
  /** Records that a program could not be restored, and is still to be. */
  want(what: EarlierRef): void;
  forgetProgram(what: EarlierRef): void;
  forgetLink(id: LinkId): void;
  /** Deletes what is left of earlier boots and cannot be restored any more. */
  dropOutdated(): void;
}

/** The origins of what applies made, by IDs. */
export interface Applied {
  readonly programs: ReadonlyMap<ProgramId, string>;
  readonly links: ReadonlyMap<LinkId, string>;
}

export interface VolumeRow {
  readonly record: VolumeRecord;
  /** False while it is being made or removed. */
  readonly isReady: boolean;
}

/** Of this boot, in any state. */
export interface VolumeRows {
  /** Writes the row of a volume that is about to be made, over one that there is. It is not ready. */
  insert(volume: VolumeRecord): void;
  setReady(id: string, isReady: boolean): void;
  delete(id: string): void;
  find(id: string): VolumeRow | null;
  /** Ascending. */
  all(): VolumeRow[];
}

/** A copy of a row that is kept in the runtime directory. `row` has its columns. */
export type RowCopy = { readonly row: Readonly<Record<string, unknown>> } & (
  | { readonly kind: "program"; readonly record: ProgramRecord; readonly state: RowState }
  | { readonly kind: "link"; readonly record: LinkRecord; readonly state: RowState }
  | { readonly kind: "dispatcher"; readonly record: DispatcherRecord }
);

/**
 * bpfman's persistent state. Rows belong to a boot, and every method sees only rows of the current one. Reads return
 * rows in state `ready` unless stated otherwise. All calls are synchronous. Updating a missing row throws
 * STATE_CONFLICT, deleting one does nothing; a row that cannot be decoded throws DATABASE_UNUSABLE.
 */
export interface StorePort {
  /** Runs `work` in one immediate transaction (for readers: on one snapshot). An exception rolls it back. */
  transaction<T>(work: () => T): T;

  /** Returns all rows in all states with one cheap query: programs, links, chains, each ascending by ID; unfinished volumes. */
  brief(): RowInBrief[];
  /** Returns what tells whether `brief` is needed, at a fraction of its cost. Pins of programs are expected to be `programPin` and the ID. */
  outline(programPin: string): RowsInOutline;

  insertProgram(record: ProgramRecord, state: RowState): void;
  setProgramState(id: ProgramId, state: RowState): void;
  deleteProgram(id: ProgramId): void;
  /** Records which maps a program has. */
  setMaps(id: ProgramId, maps: readonly ProgramMap[]): void;
  /** Records that the copy of the program's object file is lost. */
  forgetBytecode(id: ProgramId): void;
  program(id: ProgramId): ProgramRecord | null;
  /** The programs that use the map with that ID, or have one of that name. */
  programsWithMap(key: "id" | "name", value: number | string): ProgramRecord[];
  programs(): ProgramRecord[];
  /** Returns the freplace programs that replace functions of the one with that ID, attached or not. Ascending. */
  programsReplacing(target: ProgramId): ProgramRecord[];
  /** Returns the columns of a program listing, ascending by ID. Much cheaper than complete records. */
  programSummaries(): ProgramSummary[];
  /** Returns the directories for maps of programs in any state. */
  mapDirectories(): ReadonlySet<string>;
  /**
   * Returns which map pins each program in any state uses; null if its row does not say which maps it has. With paths, only
   * the programs are needed that use one of these, or a pin below one, or do not say.
   */
  mapUses(
    paths?: readonly string[],
  ): { readonly id: ProgramId; readonly mapPinPath: string; readonly mapPins: readonly string[] | null }[];
  /** Returns how many rows of any boot, in any state, name that copy of an object file, which is kept until none does. */
  bytecodeUses(path: string): number;
  /** Returns all copies that they name. */
  bytecodePaths(): ReadonlySet<string>;
  /** Returns the map that a program in any state records at a path; null if no decodable row names one. */
  mapPinnedAt(path: string): { readonly id: MapId; readonly foreign: boolean } | null;
  /** Returns rows that a running or killed command left unfinished. */
  unsettledPrograms(): { readonly record: ProgramRecord; readonly state: RowState }[];
  /** Returns the programs in any state that use the maps of `owner`, including itself. Ascending. */
  mapUsers(owner: ProgramId): ProgramId[];

  /** Returns which documents an apply made each program and link from, of those that an apply made. */
  applied(): Applied;
  setApplied(what: "program" | "link", id: ProgramId | LinkId, origin: string): void;
  setMetadata(what: "program" | "link", id: ProgramId | LinkId, metadata: Metadata): void;

  /** Inserts a pending row with the next link ID, from which `pinPath` computes the path. */
  insertLink(draft: LinkDraft, pinPath: (id: LinkId) => string): LinkRecord;
  /** Records the kernel link that is about to be pinned. The row stays pending. */
  expectLink(id: LinkId, kernelLinkId: KernelLinkId): void;
  /** Marks the row `ready`: the kernel object exists and is pinned. */
  settleLink(id: LinkId, kernelLinkId: KernelLinkId): void;
  setLinkState(id: LinkId, state: RowState): void;
  deleteLink(id: LinkId): void;
  link(id: LinkId): LinkRecord | null;
  /** Returns the links of all programs or of one, ascending by ID. */
  links(program?: ProgramId): LinkRecord[];
  unsettledLinks(): { readonly record: LinkRecord; readonly state: RowState }[];

  /** Returns the chain of a hook, whether finished or being created. */
  dispatcher(key: DispatcherKey): DispatcherRecord | null;
  /** Returns all chains, ordered by type, namespace and interface. */
  dispatchers(): DispatcherRecord[];
  /**
   * Records that `revision + 1` is being created. Inserts a row if the hook has none; for TC, with the filter it will
   * have. Returns the row as it is now.
   */
  beginRevision(
    key: DispatcherKey,
    place: Pick<DispatcherRecord, "interface" | "netns"> & { readonly filter: FilterRef | null },
  ): DispatcherRecord;
  /** Makes the pending revision the current one. */
  settleRevision(key: DispatcherKey, settled: SettledRevision): void;
  /** Drops the pending revision. Deletes the row if there was no other revision. */
  abandonRevision(key: DispatcherKey): void;
  deleteDispatcher(key: DispatcherKey): void;
  /** Updates the fields of a link that a rebuild or another program in its place changes, and marks it `ready`. */
  moveLink(id: LinkId, place: Pick<LinkRecord, "programId" | "details" | "pinPath" | "kernelLinkId">): void;

  /** Records that `next` takes the place of a program. */
  addSuccessor(id: ProgramId, next: ProgramId): void;
  dropSuccessor(id: ProgramId): void;
  /**
   * Returns what took a program's place in this boot, the newest of several, which may have gone since; and whether it did so
   * after a reboot. `bootId`: of the boot in which the program had that ID.
   */
  successor(id: ProgramId, bootId?: string): { readonly id: ProgramId; readonly restored: boolean } | null;
  /** Returns the program of this boot whose place it took. */
  predecessor(id: ProgramId): ProgramId | null;
  /**
   * Gives a program what belongs to the one whose place it took: its owner and the columns that say whether it comes back, and
   * with `maps` the maps that others share with it.
   */
  takeOver(id: ProgramId, next: ProgramId, what: { readonly maps: boolean }): void;

  /** Records pins that no other row names, before they are created. */
  recordPins(pins: readonly Pin[]): void;
  /** Returns the recorded pins at and below a path, ordered by path. */
  recordedPins(path: string): Pin[];
  /** Deletes the records of pins at and below a path, after the pins were removed. */
  forgetPins(path: string): void;

  /** The rows of volumes. */
  volumes(): VolumeRows;

  /**
   * From here on, new rows belong to one change that is not finished: if it is not settled, recovery removes what it finds of
   * them. `operationId` tells it from earlier ones.
   */
  beginChange(operationId: string): void;
  /** Gives them to whom new rows belong otherwise, all at once. */
  settleChange(): void;
  /** Returns everything that belongs to a process's session, or to a change that was not finished (`brief` lists the owners). */
  ownedBy(owner: ProcessIdentity): { readonly programs: ProgramRecord[]; readonly links: LinkRecord[] };

  /** Returns at most `limit` entries of the change log after number `after`, without entries of earlier boots. */
  changes(after: number, limit: number): Changes;

  /** Returns the copies of rows in the runtime directory, without comparing them to the rows. Throws STATE_CONFLICT. */
  copies(): RowCopy[];
  /** Writes the rows of copies, over those that there are. */
  restore(copies: readonly RowCopy[]): void;
  /** Writes all copies again, and removes those without a row. */
  refreshCopies(): void;

  /** What is recorded of earlier boots. */
  earlierBoots(): EarlierBoots;

  /** Called before a removal: makes room for it if the disk is full. The next entry of the history gives it back. */
  makeRoom(): void;
  /** Appends to the history, which keeps a bounded number of entries. */
  appendOperation(entry: OperationEntry): void;
  /** Waits until all that was committed is on disk; commits themselves do not. */
  flush(): void;
  /** Returns the history of all boots, the newest entry first; only entries from `since` on, if given. */
  operations(since: Date | null): Iterable<PastOperation>;
  /** Gives up the runtime directory, which then belongs to no database. */
  disown(): void;
  close(): void;
}
