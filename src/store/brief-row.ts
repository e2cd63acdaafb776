import { linkId, programId } from "../domain/ids.ts";
import type { ProgramType } from "../domain/kinds.ts";
import type { RowState } from "../domain/program.ts";
import type { RowInBrief } from "../platform/store.ts";

/** A row of the one query over all tables. */
export interface BriefRow {
  /** 1 programs, 2 links, 3 dispatchers. */
  readonly rank: number;
  readonly id: number;
  readonly state: RowState;
  readonly owner: string | null;
  readonly pin_path: string;
  readonly map_pin_path: string;
  readonly type: ProgramType;
}

/**
 * The columns as they are: whoever acts on a row reads it whole, and checks it then. A row that cannot be understood is
 * thus in the way of those commands alone that are about it, or that show all rows.
 */
export function rowInBrief({ rank, id, state, owner, pin_path, map_pin_path, type }: BriefRow): RowInBrief {
  if (rank === 3) return { kind: "dispatcher", state, owner };
  if (rank === 2) return { kind: "link", id: linkId(id), state, owner, pinPath: pin_path };
  return { kind: "program", id: programId(id), state, owner, pinPath: pin_path, mapPinPath: map_pin_path, type };
}
