/**
 * Damaged BTF and random values: each type is either compiled or rejected with a BpfmanError, and what was compiled writes JSON
 * that it reads again to the same bytes, all in little time. Prints its seed; see object.test.ts.
 */
import { afterAll, expect, test } from "bun:test";
import { parseExactJson } from "../../src/domain/exact-json.ts";
import { BpfmanError } from "../../src/errors/error.ts";
import { valueTypes } from "../../src/object/btf-value.ts";
import { namedSections, openElf, sectionFields } from "../../src/object/elf.ts";
import { memorySource, type Refuse } from "../../src/object/fields.ts";
import { JsonText } from "../../src/object/json-text.ts";
import { btfOf } from "../../src/object/btf.ts";
import { fixture } from "../objects/bpf-fixture.ts";
import { damageFields, randomFrom, ROUNDS, SEED } from "../objects/damage.ts";

const refuse: Refuse = (reason) => new BpfmanError("INVALID_OBJECT", reason);
const VALUE_BYTES_MAX = 4096;
/** Processor time: far above what any of this takes, far below a hang. */
const TIME_MAX_MS = 10_000;

const elf = openElf(memorySource(fixture("map_values")), refuse);
const section = namedSections(elf).find(({ name }) => name === ".BTF");
if (section === undefined) throw new Error("no BTF");
const original = Uint8Array.from(sectionFields(elf, section, "BTF").bytes);
const HEADER_BYTES = 24;
const typeBytes = new DataView(original.buffer).getUint32(12, true);
const places = Array.from({ length: typeBytes / 4 }, (_, i) => HEADER_BYTES + i * 4);

afterAll(() => console.log(`seed ${SEED}`));

function written(compile: ReturnType<typeof valueTypes>, id: number, random: (below: number) => number): void {
  const type = compile(id);
  if (type === null || type.bytes > VALUE_BYTES_MAX) return;
  const bytes = Uint8Array.from({ length: type.bytes }, () => (random(3) === 0 ? 0 : random(256)));
  const out = new JsonText();
  type.write(new DataView(bytes.buffer), 0, out);
  const json = out.toString();
  const again = new Uint8Array(bytes);
  type.read(parseExactJson(json), new DataView(again.buffer), 0, "value");
  // Of a number that is none (NaN), not all bits are written.
  const twice = new JsonText();
  type.write(new DataView(again.buffer), 0, twice);
  expect(twice.toString()).toBe(json);
}

/** Whether the error is one for people. */
function attempt(run: () => void): void {
  try {
    run();
  } catch (thrown) {
    if (!(thrown instanceof BpfmanError)) throw thrown;
  }
}

test("types of sound BTF: every value is written and read back", () => {
  const random = randomFrom(SEED);
  const btf = btfOf(original, refuse);
  const compile = valueTypes(btf);
  for (let round = 0; round < 50; round++) {
    for (let id = 1; id < btf.places.length; id++) written(compile, id, random);
  }
});

test("damaged BTF: refused, or types that hold", () => {
  const random = randomFrom(SEED + 1);
  for (let round = 0; round < ROUNDS / 8; round++) {
    const { user } = process.cpuUsage();
    attempt(() => {
      const btf = btfOf(damageFields(original, places, random), refuse);
      const compile = valueTypes(btf);
      for (let id = 1; id < btf.places.length; id++) attempt(() => written(compile, id, random));
    });
    expect({ round, ms: Math.floor((process.cpuUsage().user - user) / 1000 / TIME_MAX_MS) }).toEqual({ round, ms: 0 });
  }
}, 300_000);

test("types that multiply or go in circles are refused in little time", () => {
  const words = (...numbers: readonly number[]): Uint8Array => new Uint8Array(Uint32Array.from(numbers).buffer);
  const names = new TextEncoder().encode("\0a\0");
  const open = (types: Uint8Array) =>
    btfOf(
      new Uint8Array([...words(0x0001_eb9f, 24, 0, types.length, types.length, names.length), ...types, ...names]),
      refuse,
    );
  const struct = (name: number, size: number, ...members: readonly number[]): number[] => [
    ...[name, ((4 << 24) | members.length) >>> 0, size],
    ...members.flatMap((type) => [name, type, 0]),
  ];
  // A struct that contains itself; one of unnamed structs, each of twice the one before; an endless list of nothing.
  expect(() => valueTypes(open(words(...struct(1, 8, 1))))(1)).toThrow(BpfmanError);
  const doubled = Array.from({ length: 40 }, (_, i) => struct(0, 4, i + 1, i + 1)).flat();
  const integer = [1, 1 << 24, 4, 32];
  attempt(() => void valueTypes(open(words(...integer, ...doubled)))(41));
  const nothing = open(words(...struct(1, 0), 0, 3 << 24, 0, 1, 1, 0xffff_ffff));
  const out = new JsonText();
  valueTypes(nothing)(2)?.write(new DataView(new ArrayBuffer(0)), 0, out);
  expect(out.toString()).toBe("[]");
});
