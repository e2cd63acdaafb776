/** Compares the shapes of two JSON values: the names and types of their members. */

const typeOf = (value: unknown): string => (value === null ? "null" : Array.isArray(value) ? "array" : typeof value);

/** Where they differ, as `path: how`. Null stands for anything; arrays are compared by their first items. */
export function differences(example: unknown, real: unknown, path = ""): string[] {
  if (example === null || real === null) return [];
  if (typeOf(example) !== typeOf(real)) return [`${path}: ${typeOf(example)} in the example, ${typeOf(real)} in truth`];
  if (Array.isArray(example) && Array.isArray(real)) {
    if (example.length === 0 || real.length === 0) return [];
    return differences(example[0], real[0], `${path}[0]`);
  }
  if (typeof example !== "object" || typeof real !== "object") return [];
  const [ours, theirs] = [example as Record<string, unknown>, real as Record<string, unknown>];
  return [...new Set([...Object.keys(ours), ...Object.keys(theirs)])].flatMap((key) => {
    const where = path === "" ? key : `${path}.${key}`;
    if (!Object.hasOwn(ours, key)) return [`${where}: not in the example`];
    if (!Object.hasOwn(theirs, key)) return [`${where}: only in the example`];
    return differences(ours[key], theirs[key], where);
  });
}
