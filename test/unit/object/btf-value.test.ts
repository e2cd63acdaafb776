/** Values of types that clang describes, as JSON, both ways. */
import { describe, expect, test } from "bun:test";
import { parseExactJson } from "../../../src/domain/exact-json.ts";
import { BpfmanError } from "../../../src/errors/error.ts";
import { type Btf, btfOf, openBtf, typeOf } from "../../../src/object/btf.ts";
import { bytesType, type ValueType, valueTypes } from "../../../src/object/btf-value.ts";
import { namedSections, openElf, sectionFields } from "../../../src/object/elf.ts";
import { memorySource, type Refuse } from "../../../src/object/fields.ts";
import { JsonText } from "../../../src/object/json-text.ts";
import { compileBpf } from "../../objects/compile.ts";

const SOURCE = `
#include <stdbool.h>
#include <linux/in.h>
#include <linux/in6.h>
enum colour { RED, GREEN = 5 };
enum level { LOW = -1, HIGH = 1 };
typedef struct { __u8 address[4]; __u16 port; } endpoint;
struct nested { endpoint from, to; };
struct padded { __u8 a; __u64 b; };
struct bits { __u32 a:3; __s32 b:5; __u64 c:40; _Bool d:1; enum colour e:3; };
struct unnamed { int kind; union { __u32 word; __u8 bytes[4]; struct { __u16 low, high; }; }; };
union either { __u64 number; char text[8]; };
struct packet { __be32 saddr; __be16 port; __be64 cookie; struct in_addr addr; struct in6_addr addr6; };
struct guarded { int value; struct bpf_spin_lock lock; struct bpf_timer timer; };
struct node { struct node *next; void *data; };
struct flexible { int count; __u32 rest[]; };
#define V(type, name) type name;
V(_Bool, v_bool) V(char, v_char) V(__s8, v_s8) V(__u8, v_u8) V(__s16, v_s16) V(__u16, v_u16) V(__s32, v_s32) V(__u32, v_u32)
V(__s64, v_s64) V(__u64, v_u64) V(__int128, v_s128) V(unsigned __int128, v_u128) V(float, v_float) V(double, v_double)
V(enum colour, v_enum) V(enum level, v_level)
V(struct nested, v_nested) V(struct padded, v_padded) V(struct bits, v_bits) V(struct unnamed, v_unnamed) V(union either, v_either)
V(struct packet, v_packet) V(struct guarded, v_guarded) V(struct node, v_node) V(struct flexible, v_flexible)
char v_text[8]; char v_names[2][4]; __u64 v_list[3]; const volatile __u16 v_constant = 1; int (*v_function)(void);
`;

const refuse: Refuse = (reason) => new BpfmanError("INVALID_OBJECT", reason);

function compiledBtf(flags: readonly string[] = []): Btf {
  const elf = openElf(memorySource(compileBpf(SOURCE, flags)), refuse);
  const section = namedSections(elf).find(({ name }) => name === ".BTF");
  if (section === undefined) throw new Error("no BTF");
  return openBtf(sectionFields(elf, section, "BTF"));
}

/** The types of the variables of SOURCE. */
function typesOf(btf: Btf): ReadonlyMap<string, ValueType | null> {
  const compile = valueTypes(btf);
  const ids = Array.from({ length: btf.places.length - 1 }, (_, i) => i + 1);
  return new Map(ids.map((id) => [btf.strings.name(typeOf(btf, id).nameAt), compile(id)]));
}

const types = typesOf(compiledBtf());
const big = typesOf(compiledBtf(["-target", "bpfeb"]));

function typed(name: string, from = types): ValueType {
  const type = from.get(name);
  if (!type) throw new Error(`no type of ${name}`);
  return type;
}

function jsonOf(type: ValueType, bytes: Uint8Array, quotesLargeIntegers = false): string {
  const out = new JsonText({ quotesLargeIntegers });
  type.write(new DataView(bytes.buffer, bytes.byteOffset), 0, out);
  return out.toString();
}

function bytesOf(type: ValueType, json: string): Uint8Array {
  const bytes = new Uint8Array(type.bytes);
  type.read(parseExactJson(json), new DataView(bytes.buffer), 0, "value");
  return bytes;
}

const hex = (text: string): Uint8Array => Uint8Array.fromHex(text.replaceAll(" ", ""));

describe("bytes and JSON are the same value", () => {
  test.each([
    ["v_bool", "01", "true"],
    ["v_bool", "02", "2"],
    ["v_char", "80", "-128"],
    ["v_s8", "ff", "-1"],
    ["v_u8", "ff", "255"],
    ["v_s16", "00 80", "-32768"],
    ["v_u16", "ff ff", "65535"],
    ["v_s32", "00 00 00 80", "-2147483648"],
    ["v_u32", "ff ff ff ff", "4294967295"],
    ["v_s64", "00 00 00 00 00 00 00 80", "-9223372036854775808"],
    ["v_s64", "ff ff ff ff ff ff ff ff", "-1"],
    ["v_u64", "ff ff ff ff ff ff ff ff", "18446744073709551615"],
    ["v_u64", "01 00 00 00 00 00 20 00", "9007199254740993"],
    ["v_u64", "ff ff ff ff ff ff 1f 00", "9007199254740991"],
    ["v_u64", "00 ca 9a 3b 00 00 00 00", "1000000000"],
    ["v_u64", "00 00 00 00 00 00 00 00", "0"],
    ["v_s128", "ff".repeat(16), "-1"],
    ["v_u128", "ff".repeat(16), "340282366920938463463374607431768211455"],
    ["v_float", "00 00 c0 bf", "-1.5"],
    ["v_double", "00 00 00 00 00 00 f0 7f", '"Infinity"'],
    ["v_double", "9a 99 99 99 99 99 b9 3f", "0.1"],
    ["v_enum", "05 00 00 00", '"GREEN"'],
    ["v_enum", "07 00 00 00", "7"],
    ["v_level", "ff ff ff ff", '"LOW"'],
    ["v_level", "fe ff ff ff", "-2"],
    ["v_text", "65 74 68 30 00 00 00 00", '"eth0"'],
    ["v_text", "61 62 63 64 65 66 67 68", '"abcdefgh"'],
    ["v_text", "61 00 62 00 00 00 00 00", '"a\\u0000b"'],
    ["v_text", "61 ff 62 00 00 00 00 00", "[97,-1,98,0,0,0,0,0]"],
    ["v_text", "1b c2 9b e2 80 ae 00 00", '"\\u001b\\u009b\\u202e"'],
    ["v_names", "61 00 00 00 62 63 00 00", '["a","bc"]'],
    ["v_list", `01${"00".repeat(7)}${"ff".repeat(8)}02${"00".repeat(7)}`, "[1,18446744073709551615,2]"],
    ["v_constant", "01 00", "1"],
    [
      "v_nested",
      "0a 00 00 01 50 00 01 02 03 04 00 01",
      '{"from":{"address":[10,0,0,1],"port":80},"to":{"address":[1,2,3,4],"port":256}}',
    ],
    ["v_padded", `07${"00".repeat(7)}08${"00".repeat(7)}`, '{"a":7,"b":8}'],
    ["v_bits", "fd ff ff ff ff ff 0b 00", '{"a":5,"b":-1,"c":1099511627775,"d":true,"e":"GREEN"}'],
    [
      "v_unnamed",
      "01 00 00 00 78 56 34 12",
      '{"kind":1,"word":305419896,"bytes":[120,86,52,18],"low":22136,"high":4660}',
    ],
    ["v_either", "61 62 00 00 00 00 00 00", '{"number":25185,"text":"ab"}'],
    [
      "v_packet",
      `0a 00 00 01 00 35 ${"00".repeat(2)} 00 00 00 00 00 00 00 07 7f 00 00 01 20 01 0d b8 ${"00".repeat(11)} 01 00 00 00 00`,
      '{"saddr":"10.0.0.1","port":53,"cookie":7,"addr":"127.0.0.1","addr6":"2001:db8::1"}',
    ],
    ["v_node", `80 88 ff ff 00 00 ff ff ${"00".repeat(8)}`, '{"next":"0xffff0000ffff8880","data":"0x0"}'],
    ["v_flexible", "03 00 00 00", '{"count":3,"rest":[]}'],
  ])("%s: %s is %s", (name, bytes, json) => {
    const type = typed(name);
    expect(jsonOf(type, hex(bytes))).toBe(json);
    expect(bytesOf(type, json).toHex()).toBe(hex(bytes).toHex());
    expect(type.bytes).toBe(hex(bytes).length);
  });

  test("in the other byte order too", () => {
    const facts = [
      ["v_u64", "00 20 00 00 00 00 00 01", "9007199254740993"],
      ["v_s16", "80 00", "-32768"],
      ["v_bits", "bf ff ff ff ff ff d0 00", '{"a":5,"b":-1,"c":1099511627775,"d":true,"e":"GREEN"}'],
    ] as const;
    for (const [name, bytes, json] of facts) {
      expect(jsonOf(typed(name, big), hex(bytes))).toBe(json);
      expect(bytesOf(typed(name, big), json).toHex()).toBe(hex(bytes).toHex());
    }
  });

  // Clang writes these since version 15.
  test("enums of 64 bits", () => {
    const words = (...numbers: readonly number[]) => new Uint8Array(Uint32Array.from(numbers).buffer);
    const names = new TextEncoder().encode("\0WIDE\0DEEP\0");
    const isSigned = 0x8000_0000;
    const enum64 = (flags: number) => [
      0,
      (flags | (19 << 24) | 2) >>> 0,
      8,
      1,
      0x5566_7788,
      0x1122_3344,
      6,
      0xfffffffe,
      0xffff_ffff,
    ];
    const types = words(...enum64(0), ...enum64(isSigned));
    const header = words(0x0001_eb9f, 24, 0, types.length, types.length, names.length);
    const btf = btfOf(new Uint8Array([...header, ...types, ...names]), refuse);
    const [unsigned, signed] = [1, 2].map(valueTypes(btf)) as [ValueType, ValueType];
    for (const [type, bytes, json] of [
      [unsigned, "8877665544332211", '"WIDE"'],
      [unsigned, "ff".repeat(8), "18446744073709551615"],
      [signed, `fe${"ff".repeat(7)}`, '"DEEP"'],
      [signed, "ff".repeat(8), "-1"],
    ] as const) {
      expect(jsonOf(type, hex(bytes))).toBe(json);
      expect(bytesOf(type, json).toHex()).toBe(bytes);
    }
  });

  test("what belongs to the kernel is named, and stays as it is", () => {
    const type = typed("v_guarded");
    const bytes = hex(`01000000 02000000 ${"03".repeat(16)}`);
    const json = '{"value":1,"lock":"(bpf_spin_lock)","timer":"(bpf_timer)"}';
    expect(jsonOf(type, bytes)).toBe(json);
    type.read(parseExactJson(json.replace("1", "9")), new DataView(bytes.buffer), 0, "value");
    expect(bytes.toHex()).toBe(`0900000002000000${"03".repeat(16)}`);
    expect(() => bytesOf(type, '{"lock":1}')).toThrow(
      "invalid value.lock: it belongs to the kernel, and cannot be set",
    );
  });

  test("a function pointer is a pointer; a function has no size", () => {
    expect(jsonOf(typed("v_function"), new Uint8Array(8))).toBe('"0x0"');
    expect([...types.values()]).toContain(null);
  });

  test("for parsers that have only doubles, larger integers are strings, and read as such", () => {
    const type = typed("v_list");
    const json = '[1,"18446744073709551615","9007199254740992"]';
    const bytes = bytesOf(type, json);
    expect(jsonOf(type, bytes, true)).toBe(json);
    expect(bytesOf(type, '["0x1",18446744073709551615,"9007199254740992"]')).toEqual(bytes);
  });

  test("what is quoted of a wrong value is short, whatever was given", () => {
    const refusal = (name: string, value: unknown): string => {
      try {
        typed(name).read(value, new DataView(new ArrayBuffer(64)), 0, "value");
        return "";
      } catch (thrown) {
        return (thrown as BpfmanError).message;
      }
    };
    for (const wrong of [10n ** 100_000n, "x".repeat(100_000), "9".repeat(100_000)])
      for (const name of ["v_u32", "v_enum", "v_bool", "v_packet"]) {
        const message = refusal(name, wrong);
        expect({ name, isShort: message.length > 0 && message.length < 1000 }).toEqual({ name, isShort: true });
      }
    expect(refusal("v_text", "\ud800")).toBe("invalid value: half of a surrogate pair is not a character");
    expect(() => bytesType("bytes", 4).read("00", new DataView(new ArrayBuffer(4)), 0, "key")).toThrow(
      'invalid key: must be 4 bytes in hex, as in "0a0a0a0a", not 1 byte',
    );
  });

  test("numbers of every length keep all their digits, and every address its own", () => {
    const powers = Array.from({ length: 20 }, (_, digits) => 10n ** BigInt(digits));
    for (const number of powers.flatMap((power) => [
      power - 1n,
      power,
      power + 1n,
      (power * 123_456_789n) / 100_000_000n,
    ])) {
      if (number >= 2n ** 64n) continue;
      for (const [name, least, most] of [
        ["v_u64", 0n, 2n ** 64n - 1n],
        ["v_s64", -(2n ** 63n), 2n ** 63n - 1n],
        ["v_u32", 0n, 2n ** 32n - 1n],
        ["v_s16", -(2n ** 15n), 2n ** 15n - 1n],
      ] as const) {
        for (const signed of [number, -number]) {
          if (signed < least || signed > most) continue;
          const type = typed(name);
          expect(jsonOf(type, bytesOf(type, String(signed)))).toBe(String(signed));
        }
      }
    }
    const packet = typed("v_packet");
    for (const address of ["0.0.0.0", "1.20.255.9", "255.255.255.255", "10.100.0.99"])
      expect(jsonOf(packet, bytesOf(packet, `{"saddr":"${address}"}`))).toContain(`"saddr":"${address}"`);
  });

  test("members that are not given stay, and are 0 in a new value", () => {
    expect(bytesOf(typed("v_padded"), '{"b":2}').toHex()).toBe(`${"00".repeat(8)}02${"00".repeat(7)}`);
    const bytes = new Uint8Array(16).fill(0xff);
    typed("v_padded").read({ a: 1 }, new DataView(bytes.buffer), 0, "value");
    expect(bytes.toHex()).toBe(`01${"ff".repeat(15)}`);
  });

  test("one member of a union is enough, and several must agree", () => {
    const type = typed("v_unnamed");
    expect(bytesOf(type, '{"high":4660,"low":22136}').toHex()).toBe("0000000078563412");
    expect(bytesOf(type, '{"low":22136,"word":305419896}').toHex()).toBe("0000000078563412");
    expect(() => bytesOf(type, '{"low":1,"word":305419896}')).toThrow("says otherwise");
  });

  test("the values of processors are summed member by member", () => {
    const into = bytesOf(typed("v_nested"), '{"from":{"port":65535}}');
    const from = bytesOf(typed("v_nested"), '{"from":{"port":2},"to":{"address":[1,0,0,255]}}');
    typed("v_nested").add(new DataView(from.buffer), new DataView(into.buffer), 0);
    expect(JSON.parse(jsonOf(typed("v_nested"), into))).toEqual({
      from: { address: [0, 0, 0, 0], port: 1 },
      to: { address: [1, 0, 0, 255], port: 0 },
    });
  });
});

describe("what does not fit is named", () => {
  test.each([
    ["v_u8", "256", "invalid value: must be from 0 to 255, not 256"],
    ["v_s8", "-129", "must be from -128 to 127, not -129"],
    ["v_u64", "18446744073709551616", "must be from 0 to 18446744073709551615"],
    ["v_u32", "1.5", "must be a whole number, not 1.5"],
    ["v_u32", '"ten"', 'must be a whole number, not "ten"'],
    ["v_u32", "null", "must be a whole number, not null"],
    ["v_u32", "[1]", "must be a whole number, not a list"],
    ["v_bool", '"yes"', 'must be true or false, not "yes"'],
    ["v_enum", '"GREAN"', 'no enumerator "GREAN"'],
    ["v_text", '"ninebytes"', "has 9 bytes, and there is room for 8"],
    ["v_text", "5", "must be text, not 5"],
    ["v_list", "[1,2]", "must be a list of 3, not of 2"],
    ["v_list", "7", "must be a list of 3, not 7"],
    ["v_nested", '{"from":{"port":65536}}', "invalid value.from.port: must be from 0 to 65535, not 65536"],
    ["v_nested", '{"from":{"address":[1,2,3,"x"]}}', "invalid value.from.address[3]: must be a whole number"],
    ["v_nested", '{"form":{}}', "invalid value.form: struct nested has no such member"],
    ["v_nested", "[]", "must be an object, not a list"],
    ["v_nested", '{"__proto__":1}', "invalid value.__proto__: struct nested has no such member"],
    ["v_bits", '{"a":8}', "invalid value.a: must be from 0 to 7, not 8"],
    ["v_packet", '{"saddr":"10.0.0.256"}', "must be an IPv4 address"],
    ["v_packet", '{"addr6":"1::2::3"}', "must be an IPv6 address"],
    ["v_float", '"x"', 'must be a number, not "x"'],
  ])("%s: %s", (name, json, message) => {
    expect(() => bytesOf(typed(name), json)).toThrow(message);
  });

  test("with similar names", () => {
    const hintOf = (name: string, json: string): unknown => {
      try {
        return bytesOf(typed(name), json);
      } catch (thrown) {
        return (thrown as BpfmanError).hint;
      }
    };
    expect(hintOf("v_nested", '{"form":{}}')).toContain('did you mean "from"?');
    expect(hintOf("v_enum", '"GREAN"')).toContain('did you mean "GREEN"?');
  });
});
