import { type MapId, type ProgramId, programId } from "../../domain/ids.ts";
import { loadKey, partReplaced } from "../../domain/program.ts";
import type { EarlierProgram } from "../../platform/store.ts";

/** Programs of one load, which share maps, pinned or not: they are loaded together again. The owner of the maps comes first. */
export type Group = readonly [EarlierProgram, ...EarlierProgram[]];

/** A program of some boot: the kernel gives the same IDs again. */
export const refKey = (bootId: string, id: ProgramId | MapId): string => `${bootId} ${id}`;

const ownerOf = ({ record }: EarlierProgram): ProgramId => record.mapOwnerId ?? record.id;
export const ownerKey = (program: EarlierProgram): string => refKey(program.bootId, ownerOf(program));

/** The program of which an freplace program replaces a function; null for others. */
export function replacedBy({ record }: EarlierProgram): { readonly id: ProgramId; readonly fnName: string } | null {
  if (record.type !== "freplace" || record.attachFunction === null) return null;
  const { program, fnName } = partReplaced(record.attachFunction);
  return { id: programId(Number(program)), fnName };
}

/** What has to be there before a program: the owner of its maps, and what it replaces. */
const needsOf = (program: EarlierProgram): string[] => {
  const replaced = replacedBy(program);
  return [ownerKey(program), ...(replaced === null ? [] : [refKey(program.bootId, replaced.id)])];
};

/** Returns the loads to make, in the order in which they were made, and each after those that it needs. */
export function groupsOf(programs: readonly EarlierProgram[]): Group[] {
  const isOwner = ({ record }: EarlierProgram): boolean => record.mapOwnerId === null;
  const groups = [...Map.groupBy(programs, ({ bootId, record }) => `${bootId} ${loadKey(record)}`).values()].map(
    (group) => group.toSorted((a, b) => Number(isOwner(b)) - Number(isOwner(a)) || a.id - b.id) as unknown as Group,
  );
  const groupWith = new Map(groups.flatMap((group) => group.map((each) => [refKey(each.bootId, each.id), group])));
  const seen = new Set<Group>();
  const ordered: Group[] = [];
  function add(group: Group): void {
    if (seen.has(group)) return;
    seen.add(group);
    for (const need of group.flatMap(needsOf)) {
      const before = groupWith.get(need);
      if (before !== undefined) add(before);
    }
    ordered.push(group);
  }
  groups.forEach(add);
  return ordered;
}

/** Adds the programs that the chosen ones need. */
export function withNeeds(all: readonly EarlierProgram[], chosen: readonly EarlierProgram[]): EarlierProgram[] {
  const needs = new Set(chosen.flatMap(needsOf));
  const found = all.filter((each) => chosen.includes(each) || needs.has(refKey(each.bootId, each.id)));
  return found.length === chosen.length ? found : withNeeds(all, found);
}
