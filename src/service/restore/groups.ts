import type { MapId, ProgramId } from "../../domain/ids.ts";
import type { EarlierProgram } from "../../platform/store.ts";

/** Programs of one load, which share maps, pinned or not: they are loaded together again. The owner of the maps comes first. */
export type Group = readonly [EarlierProgram, ...EarlierProgram[]];

/** A program of some boot: the kernel gives the same IDs again. */
export const refKey = (bootId: string, id: ProgramId | MapId): string => `${bootId} ${id}`;

const ownerOf = ({ record }: EarlierProgram): ProgramId => record.mapOwnerId ?? record.id;
export const ownerKey = (program: EarlierProgram): string => refKey(program.bootId, ownerOf(program));

/** All programs of a load have the same time of creation. */
const loadKey = (program: EarlierProgram): string => {
  const { bytecodeDigest, createdAt, requestedMapOwnerId } = program.record;
  return [ownerKey(program), bytecodeDigest, createdAt.getTime(), requestedMapOwnerId].join(" ");
};

/** Returns the loads to make, those that own maps before those that use them. */
export function groupsOf(programs: readonly EarlierProgram[]): Group[] {
  const groups = [...Map.groupBy(programs, loadKey).values()];
  const isOwner = (program: EarlierProgram): boolean => program.record.mapOwnerId === null;
  const ordered = groups.map((group) =>
    group.toSorted((a, b) => Number(isOwner(b)) - Number(isOwner(a)) || a.id - b.id),
  );
  return (ordered as unknown as Group[]).toSorted(([a], [b]) => Number(isOwner(b)) - Number(isOwner(a)));
}

/** Adds the programs whose maps the chosen ones use. */
export function withOwners(all: readonly EarlierProgram[], chosen: readonly EarlierProgram[]): EarlierProgram[] {
  const owners = new Set(chosen.map(ownerKey));
  return all.filter((each) => chosen.includes(each) || owners.has(refKey(each.bootId, each.id)));
}
