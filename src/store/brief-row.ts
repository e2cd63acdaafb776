import { linkId, programId } from "../domain/ids.ts";
import type { ProgramType } from "../domain/kinds.ts";
import type { RowState } from "../domain/program.ts";
import type { RowInBrief } from "../platform/store.ts";

/** A row of the query across all tables. */
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
 * Returns the columns unchecked: code that acts on a row reads and validates it in full. A row that cannot be decoded
 * therefore only affects commands that concern it or show all rows.
 */
export function rowInBrief({ rank, id, state, owner, pin_path, map_pin_path, type }: BriefRow): RowInBrief {
  if (rank === 3) return { kind: "dispatcher", state, owner };
  if (rank === 2) return { kind: "link", id: linkId(id), state, owner, pinPath: pin_path };
  return { kind: "program", id: programId(id), state, owner, pinPath: pin_path, mapPinPath: map_pin_path, type };
}
