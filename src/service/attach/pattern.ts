import { PROBED_FUNCTIONS_MAX } from "../../domain/limits.ts";
import { BpfmanError } from "../../errors/error.ts";
import { didYouMean } from "../../errors/suggest.ts";

/** Reports whether a name matches a pattern, in which `*` stands for any characters and `?` for one. */
export function matches(pattern: string, name: string): boolean {
  let [at, place] = [0, 0];
  /** The last `*`, and where the name goes on behind what it stands for. */
  let star: readonly [at: number, place: number] | null = null;
  while (place < name.length) {
    if (pattern[at] === "*") star = [at++, place];
    else if (pattern[at] === "?" || pattern[at] === name[place]) [at, place] = [at + 1, place + 1];
    else if (star === null) return false;
    else {
      star = [star[0], star[1] + 1];
      [at, place] = [star[0] + 1, star[1]];
    }
  }
  return /^\**$/.test(pattern.slice(at));
}

interface Searched {
  readonly pattern: string;
  /** What is attached: `kprobe.multi`. */
  readonly kind: string;
  /** Where was searched: `this kernel`, `"/usr/bin/bash"`. */
  readonly where: string;
}

/**
 * Returns the functions that a pattern matches, by name; the first of each. Throws SYMBOL_NOT_FOUND for none,
 * INVALID_ATTACH for too many.
 */
export function functionsMatching<Found extends { readonly name: string }>(
  all: () => Iterable<Found>,
  { pattern, kind, where }: Searched,
): Found[] {
  const found = new Map<string, Found>();
  for (const each of all()) if (!found.has(each.name) && matches(pattern, each.name)) found.set(each.name, each);
  const details = { pattern, count: found.size };
  if (found.size === 0) {
    const names = Iterator.from(all()).map(({ name }) => name);
    throw new BpfmanError("SYMBOL_NOT_FOUND", `no function in ${where} matches "${pattern}"`, {
      details,
      hint:
        didYouMean(pattern.replaceAll(/[*?]/g, ""), names) ??
        "* stands for any characters, ? for one; functions that were inlined are not there",
    });
  }
  if (found.size > PROBED_FUNCTIONS_MAX) {
    const some = [...found.keys()].slice(0, 3).join(", ");
    throw new BpfmanError("INVALID_ATTACH", `attach ${kind}: ${found.size} functions in ${where} match "${pattern}"`, {
      details,
      hint: `choose at most ${PROBED_FUNCTIONS_MAX}, of those such as ${some}`,
    });
  }
  return [...found.values()];
}
