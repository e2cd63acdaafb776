import { expect, test } from "bun:test";
import { NAME_CHARS_MAX } from "../../../src/domain/limits.ts";
import { BpfmanError } from "../../../src/errors/error.ts";
import { Fields, hasControlCharacters } from "../../../src/object/fields.ts";
import { randomFrom, SEED } from "../../objects/damage.ts";

const format = {
  littleEndian: true,
  wide: true,
  refuse: (reason: string) => new BpfmanError("INVALID_OBJECT", reason),
};

/** What a name is, decoded by itself; null if it is refused. */
function alone(bytes: Uint8Array, at: number): string | null {
  const end = bytes.indexOf(0, at);
  if (end < 0 || end - at > NAME_CHARS_MAX) return null;
  const name = new TextDecoder().decode(bytes.subarray(at, end));
  return hasControlCharacters(name) ? null : name;
}

function read(fields: Fields, at: number): string | null {
  try {
    return fields.name(at);
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(BpfmanError);
    return null;
  }
}

test.each([
  ["plain", "\0main\0.text\0"],
  ["of other languages", "\0größe\0名前\0main\0"],
  ["with a byte order mark", "\ufeff\0main\0"],
  ["with a control character in one of them", "\0main\0bad\u001b[31m\0.text\0"],
  ["with DEL and C1", "\0a\u007fb\0c\u0085d\0e\0"],
  ["without an end", "\0main\0tail"],
  ["too long", `\0main\0${"x".repeat(NAME_CHARS_MAX + 1)}\0${"y".repeat(NAME_CHARS_MAX)}\0`],
])("names %s are the same from any byte on, one by one and in a table", (_, text) => {
  const bytes = new TextEncoder().encode(text);
  const fields = new Fields(bytes, format, "names");
  for (let at = 0; at <= bytes.length; at++) expect(read(fields, at)).toBe(alone(bytes, at));
});

test(`names of random bytes, by seed ${SEED}`, () => {
  const random = randomFrom(SEED);
  for (let round = 0; round < 500; round++) {
    const bytes = Uint8Array.from({ length: 24 }, () => {
      const kind = random(10);
      return kind < 2 ? 0 : kind < 9 ? 0x20 + random(0x5f) : random(256);
    });
    const fields = new Fields(bytes, format, "names");
    for (let at = 0; at < bytes.length; at++) expect(read(fields, at)).toBe(alone(bytes, at));
  }
});
