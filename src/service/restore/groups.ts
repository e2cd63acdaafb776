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

/** Returns the loads to make, in the order in which they were made, and those that own maps before those that use them. */
export function groupsOf(programs: readonly EarlierProgram[]): Group[] {
  const isOwner = ({ record }: EarlierProgram): boolean => record.mapOwnerId === null;
  const groups = [...Map.groupBy(programs, loadKey).values()].map(
    (group) => group.toSorted((a, b) => Number(isOwner(b)) - Number(isOwner(a)) || a.id - b.id) as unknown as Group,
  );
  const ordered = new Set<Group>();
  const owning = new Map(groups.flatMap((group) => group.map((each) => [refKey(each.bootId, each.id), group])));
  for (const group of groups) {
    const owner = owning.get(ownerKey(group[0]));
    if (owner !== undefined) ordered.add(owner);
    ordered.add(group);
  }
  return [...ordered];
}

/** Adds the programs whose maps the chosen ones use. */
export function withOwners(all: readonly EarlierProgram[], chosen: readonly EarlierProgram[]): EarlierProgram[] {
  const owners = new Set(chosen.map(ownerKey));
  return all.filter((each) => chosen.includes(each) || owners.has(refKey(each.bootId, each.id)));
}
