/** "Did you mean": the names nearest to a wrong one. */

/** Edit distance with adjacent swaps, bounded: answers `limit + 1` as soon as it is exceeded. */
function distance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) > limit) return limit + 1;
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let best = Math.min((row[j - 1] ?? 0) + 1, (last[j] ?? 0) + 1, (last[j - 1] ?? 0) + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        best = Math.min(best, (before[j - 2] ?? 0) + 1);
      row.push(best);
    }
    if (Math.min(...row) > limit) return limit + 1;
    before = last;
    last = row;
  }
  return last[b.length] ?? limit + 1;
}

/** Up to `count` of `names` that are near `wrong`, nearest first; a name that contains it counts as near. */
export function nearest(wrong: string, names: Iterable<string>, count = 3): string[] {
  const wanted = wrong.toLowerCase();
  const limit = Math.max(1, Math.floor(wanted.length / 3));
  const found: { name: string; rank: number }[] = [];
  for (const name of names) {
    const candidate = name.toLowerCase();
    const edits = distance(wanted, candidate, limit);
    const contains = wanted.length >= 3 && candidate.includes(wanted);
    if (edits <= limit) found.push({ name, rank: edits });
    else if (contains) found.push({ name, rank: limit + candidate.length - wanted.length });
  }
  found.sort((x, y) => x.rank - y.rank || (x.name < y.name ? -1 : 1));
  return found.slice(0, count).map((entry) => entry.name);
}

/** The sentence for a hint, or null when nothing is near: `did you mean "a" or "b"?`. */
export function didYouMean(wrong: string, names: Iterable<string>, count = 3): string | null {
  const found = nearest(wrong, names, count).map((name) => `"${name}"`);
  if (found.length === 0) return null;
  const last = found.pop();
  return found.length === 0 ? `did you mean ${last}?` : `did you mean ${found.join(", ")} or ${last}?`;
}
