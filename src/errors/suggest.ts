/** "Did you mean": finds the names closest to a misspelt one. */
import { LISTED_NAMES_MAX } from "../domain/limits.ts";

/** Edit distance with adjacent transpositions. Returns `limit + 1` as soon as the limit is exceeded. */
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

/** Shorter names are contained in too many others to be meaningful. */
const CONTAINED_CHARS_MIN = 3;

const isPartOf = (wanted: string, name: string): boolean =>
  wanted.length >= CONTAINED_CHARS_MIN ? name.includes(wanted) : wanted.length > 1 && name.startsWith(wanted);

/** Matches `--output` for `--output-format`: the typed word starts with the name, which is at least half as long. */
const goesOnBehind = (name: string, wanted: string): boolean =>
  2 * name.length >= wanted.length && name.length >= CONTAINED_CHARS_MIN && wanted.startsWith(name);

/**
 * Returns up to `count` of `names` that are similar to `wrong`, closest first. A name that contains `wrong` or is a
 * prefix of it counts as similar. If one name is a clear match, less similar ones are omitted.
 */
export function nearest(wrong: string, names: Iterable<string>, count = 3): string[] {
  const wanted = wrong.toLowerCase();
  const limit = Math.max(1, Math.floor(wanted.length / 3));
  const alike: { name: string; rank: number }[] = [];
  const containing: { name: string; rank: number }[] = [];
  for (const name of names) {
    const candidate = name.toLowerCase();
    const edits = distance(wanted, candidate, limit);
    // At a distance of their whole length, they have nothing in common.
    if (edits <= limit && edits < Math.max(wanted.length, candidate.length)) alike.push({ name, rank: edits });
    else if (isPartOf(wanted, candidate) || goesOnBehind(candidate, wanted)) {
      containing.push({ name, rank: limit + Math.abs(candidate.length - wanted.length) });
    }
  }
  const best = alike.reduce((least, { rank }) => Math.min(least, rank), limit);
  const found = [...alike.filter(({ rank }) => rank <= 2 * best), ...containing];
  // Without its dashes, `--url` is a part of `--image-url`.
  if (found.length === 0 && wanted.startsWith("--")) return nearest(wanted.slice(2), names, count);
  found.sort((x, y) => x.rank - y.rank || (x.name < y.name ? -1 : 1));
  return found.slice(0, count).map((entry) => entry.name);
}

/** Returns the sentence for a hint, `did you mean "a" or "b"?`; null if no name is similar. */
export const didYouMean = (wrong: string, names: Iterable<string>, count = 3): string | null =>
  questionOf(nearest(wrong, names, count));

/** Returns the sentence for names already found to be similar; null if there are none. */
export function questionOf(names: readonly string[]): string | null {
  const found = names.map((name) => `"${name}"`);
  const last = found.pop();
  if (last === undefined) return null;
  return found.length === 0 ? `did you mean ${last}?` : `did you mean ${found.join(", ")} or ${last}?`;
}

interface Instead {
  /** The start of the list of all names: `the object holds`. */
  readonly there: string;
  /** The whole sentence if there are no names. */
  readonly none: string;
}

/** Returns a hint for a misspelt name when all names can be listed: similar ones first, then the list. */
export function whatThereIs(wrong: string, names: readonly string[], { there, none }: Instead): string {
  if (names.length === 0) return none;
  const more = names.length > LISTED_NAMES_MAX ? `, and ${names.length - LISTED_NAMES_MAX} more` : "";
  const all = `${there}: ${names.slice(0, LISTED_NAMES_MAX).join(", ")}${more}`;
  const near = didYouMean(wrong, names);
  return near === null ? all : `${near} ${all}`;
}
