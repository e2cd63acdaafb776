import { ALONGSIDE_MAX } from "../domain/limits.ts";
import type { MapUses } from "./map-uses.ts";
import type { Refuse } from "./fields.ts";

/**
 * Returns, by requested program, the other programs that it reaches by bpf_tail_call: those in the initial values of its
 * program arrays, and so on from those. Throws the error of `refuse` if there are implausibly many.
 */
export function reachedByTailCalls(
  { of, initialValues }: MapUses,
  chosen: readonly string[],
  refuse: Refuse,
): ReadonlyMap<string, readonly string[]> {
  if (!initialValues.some(({ kind }) => kind === "program")) return new Map(chosen.map((name) => [name, []]));
  const calls = Map.groupBy(
    initialValues.filter(({ kind }) => kind === "program"),
    ({ map }) => map,
  );
  const all = new Set(chosen);
  const reachedFrom = (start: string): string[] => {
    const reached = new Set([start]);
    for (const program of reached) {
      all.add(program);
      if (all.size > chosen.length + ALONGSIDE_MAX)
        throw refuse(`its program arrays lead to more than ${ALONGSIDE_MAX} programs`);
      for (const map of of([program])?.maps ?? []) {
        for (const { target } of calls.get(map) ?? []) reached.add(target);
      }
    }
    reached.delete(start);
    return [...reached];
  };
  return new Map(chosen.map((name) => [name, reachedFrom(name)]));
}
