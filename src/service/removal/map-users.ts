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

function readUses(host: Host): Uses {
  const users = new Map<string, Set<ProgramId>>();
  const used = new Map<ProgramId, readonly string[]>();
  const unclear = new Set<ProgramId>();
  for (const { id, mapPinPath, mapPins } of host.store.mapUses()) {
    if (mapPins === null) unclear.add(id);
    const paths = [mapPinPath, ...(mapPins ?? [])];
    used.set(id, paths);
    for (const path of paths) users.set(path, (users.get(path) ?? new Set()).add(id));
  }
  return { users, used, unclear };
}

export function mapUsers(host: Host): MapUsers {
  let read: Uses | null = null;
  const uses = (): Uses => {
    read ??= readUses(host);
    return read;
  };
  const hasOthers = (ids: ReadonlySet<ProgramId> | undefined, id: ProgramId): boolean =>
    ids !== undefined && ids.size > (ids.has(id) ? 1 : 0);
  return {
    pinsToRemove({ id, maps }) {
      const own = maps.filter(({ pinPath, foreign }) => pinPath !== null && !foreign);
      if (own.length === 0 || hasOthers(uses().unclear, id)) return [];
      return own.flatMap(({ id: map, pinPath }) =>
        pinPath === null || hasOthers(uses().users.get(pinPath), id) ? [] : mapPin(pinPath, map),
      );
    },
    shareDirectory: ({ id, mapPinPath }) => hasOthers(uses().users.get(mapPinPath), id),
    forget(id) {
      for (const path of read?.used.get(id) ?? []) read?.users.get(path)?.delete(id);
      read?.unclear.delete(id);
    },
  };
}
