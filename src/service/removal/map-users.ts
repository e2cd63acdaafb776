import type { ProgramId } from "../../domain/ids.ts";
import { mapPin, type Pin } from "../../domain/pin.ts";
import type { ProgramRecord } from "../../domain/program.ts";
import type { Host } from "../../platform/host.ts";

/** Which programs use which maps. Read once, on first use under the writer lock, to remove any number of programs. */
export interface MapUsers {
  /** Returns the pins of the program's maps that bpfman created and no other program uses. */
  pinsToRemove(program: ProgramRecord): Pin[];
  /** Reports whether another program has the same directory for its maps. */
  shareDirectory(program: ProgramRecord): boolean;
  /** To be called when the row of a program was deleted. */
  forget(id: ProgramId): void;
}

interface Uses {
  readonly users: ReadonlyMap<string, Set<ProgramId>>;
  readonly used: ReadonlyMap<ProgramId, readonly string[]>;
  /** Programs whose rows do not say which maps they use, so it could be any. */
  readonly unclear: Set<ProgramId>;
}

/** Where its maps are pinned: in a directory of its own or of a program before it, and in that of shared ones. */
const directoriesOf = ({ mapPinPath, maps }: ProgramRecord): string[] => [
  ...new Set([mapPinPath, ...maps.flatMap(({ pinPath }) => pinPath?.slice(0, pinPath.lastIndexOf("/")) ?? [])]),
];

/** Reads which programs use which maps: all programs or, given one, those that have pins in the same directories. */
function readUses(host: Host, near: ProgramRecord | null): Uses {
  const users = new Map<string, Set<ProgramId>>();
  const used = new Map<ProgramId, readonly string[]>();
  const unclear = new Set<ProgramId>();
  for (const { id, mapPinPath, mapPins } of host.store.mapUses(near === null ? undefined : directoriesOf(near))) {
    if (mapPins === null) unclear.add(id);
    const paths = [mapPinPath, ...(mapPins ?? [])];
    used.set(id, paths);
    for (const path of paths) users.set(path, (users.get(path) ?? new Set()).add(id));
  }
  return { users, used, unclear };
}

/** `programs` are those that may be asked about, if that is known: for a single one, little is read. */
export function mapUsers(host: Host, programs: readonly ProgramRecord[] | null = null): MapUsers {
  let read: Uses | null = null;
  const uses = ({ id }: Pick<ProgramRecord, "id">): Uses => {
    if (programs?.every((each) => each.id !== id)) throw new Error(`not asked about program ${id}`);
    read ??= readUses(host, programs?.length === 1 ? (programs[0] ?? null) : null);
    return read;
  };
  const hasOthers = (ids: ReadonlySet<ProgramId> | undefined, id: ProgramId): boolean =>
    ids !== undefined && ids.size > (ids.has(id) ? 1 : 0);
  return {
    pinsToRemove(program) {
      const { id, maps } = program;
      const own = maps.filter(({ pinPath, foreign }) => pinPath !== null && !foreign);
      if (own.length === 0 || hasOthers(uses(program).unclear, id)) return [];
      return own.flatMap(({ id: map, pinPath }) =>
        pinPath === null || hasOthers(uses(program).users.get(pinPath), id) ? [] : mapPin(pinPath, map),
      );
    },
    shareDirectory: (program) => hasOthers(uses(program).users.get(program.mapPinPath), program.id),
    forget(id) {
      for (const path of read?.used.get(id) ?? []) read?.users.get(path)?.delete(id);
      read?.unclear.delete(id);
    },
  };
}
