/** Names that try to inject output, and what must never appear in the output. */

/** Everything that a terminal acts on, or that readers cannot see: one of each kind. */
const EVERY_KIND =
  "\r\t\x07\x1b[2J\x7f\x85\x9b1m\u00ad\u061c\u200b\u200d\u200f\u202e\u2028\u2029\u2060\u2066\u3164\ufeff\u{e0041}";

/** A name that would begin that many lines of its own. */
export const forged = (lines: number): string => `x${EVERY_KIND}${"\nerror: forged".repeat(lines)}`;

/** Bytes of the length that a name in a file has; `bidi` ones are no controls, so that more of the product takes them. */
export function forgedBytes(length: number, kind: "control" | "bidi"): Buffer {
  const head = Buffer.from(kind === "control" ? "\n\x1b" : "\u202e\u200b");
  return Buffer.concat([head.subarray(0, head.length > length ? 3 : undefined), Buffer.alloc(length, "x")], length);
}

// The test's own list, by code points, so that it does not repeat the product's mistakes.
const MISLEADING: readonly (readonly [first: number, last: number])[] = [
  [0x00, 0x09],
  [0x0b, 0x1f],
  [0x7f, 0x9f],
  [0xad, 0xad],
  [0x61c, 0x61c],
  [0x115f, 0x1160],
  [0x180b, 0x180f],
  [0x200b, 0x200f],
  [0x2028, 0x202e],
  [0x2060, 0x206f],
  [0x3164, 0x3164],
  [0xd800, 0xdfff],
  [0xfe00, 0xfe0f],
  [0xfeff, 0xfeff],
  [0xffa0, 0xffa0],
  [0xfff9, 0xfffb],
  [0xe0000, 0xe0fff],
];

/** Characters in a text that must not be there; line feeds aside, which are counted. */
export function misleadingIn(text: string): string[] {
  const found = [...text].filter((character) => {
    const code = character.codePointAt(0) ?? 0;
    return MISLEADING.some(([first, last]) => code >= first && code <= last);
  });
  return [...new Set(found)].map((character) => `U+${character.codePointAt(0)?.toString(16)}`);
}

/** What stays of a text for a terminal when our own colours and the deletion of a line are taken out. */
export const withoutOwnStyle = (text: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the point
  text.replace(/\x1b\[(0|1;31|1;32|36)m|\r\x1b\[K/g, "");

export const linesIn = (text: string): number => text.split("\n").length;

/** A copy for each text in a value, keys of records included, in which it is another. */
export function* withEachText(value: unknown, other: string, path = ""): Generator<{ path: string; value: unknown }> {
  if (typeof value === "string") yield { path, value: other };
  if (typeof value !== "object" || value === null) return;
  for (const [key, part] of Object.entries(value)) {
    for (const changed of withEachText(part, other, `${path}.${key}`)) {
      const copy = Array.isArray(value) ? [...value] : { ...value };
      Reflect.set(copy, key, changed.value);
      yield { path: changed.path, value: copy };
    }
    if (Array.isArray(value)) continue;
    const { [key]: moved, ...rest } = value as Record<string, unknown>;
    yield { path: `${path}.${key} (key)`, value: { ...rest, [key]: moved, [other]: moved } };
  }
}
