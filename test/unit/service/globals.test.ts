/** Values of global variables become the bytes of their types. */
import { expect, test } from "bun:test";
import { readObject } from "../../../src/object/object-file.ts";
import { decodeGlobals, placeGlobals } from "../../../src/service/load/globals.ts";
import { failureOf } from "../../expect/failure.ts";
import { compileBpf } from "../../objects/compile.ts";

const SOURCE = `
enum verdict { ALLOW, DENY = 7 };
struct port { unsigned short number; _Bool open; };
struct config { enum verdict verdict; struct port ports[2]; char name[8]; };
const volatile unsigned char small = 1;
const volatile long long wide;
const volatile _Bool on;
volatile enum verdict verdict;
volatile char iface[16];
volatile unsigned short list[3];
volatile struct config config = { .verdict = DENY, .name = "old", .ports = { { 1, 1 }, { 2, 1 } } };
volatile char huge[64 << 20];
SEC("xdp") int use(void *ctx) {
  return small + wide + on + verdict + iface[0] + list[0] + config.verdict + huge[0];
}`;
const bytes = compileBpf(SOURCE);
const contents = { bytes, object: readObject(bytes, {}) };
const none = { globalData: {}, globals: {} };
const decoded = (globals: Readonly<Record<string, unknown>>) => decodeGlobals({ ...none, globals }, contents);

const port = (number: string, open: string): string => `${number}${open}00`;

test.each<[name: string, value: unknown, hex: string]>([
  ["small", 255, "ff"],
  ["small", "0x1f", "1f"],
  ["wide", -1, "ff".repeat(8)],
  ["wide", 9223372036854775807n, `${"ff".repeat(7)}7f`],
  ["wide", "9223372036854775807", `${"ff".repeat(7)}7f`],
  ["on", true, "01"],
  ["verdict", "DENY", "07000000"],
  ["verdict", 3, "03000000"],
  ["iface", "eth0", `65746830${"00".repeat(12)}`],
  ["list", [1, 2, 258], "010002000201"],
  [
    "config",
    { ports: [{ number: 53 }, { open: false }], name: "new" },
    `07000000${port("3500", "01")}${port("0200", "00")}6e65770000000000`,
  ],
])("%s=%p", (name, value, hex) => {
  const globals = decoded({ [name]: value });
  expect(globals.get(name)?.toHex()).toBe(hex);
  expect(placeGlobals(contents.object, globals)).toHaveLength(1);
});

test("what the object has stays as it is", () => {
  decoded({ config: { verdict: "ALLOW" } });
  expect(decoded({ config: {} }).get("config")?.toHex()).toStartWith("07000000");
});

test.each<[name: string, value: unknown, message: string, hint: string | null]>([
  ["small", 256, "invalid global small: must be from 0 to 255, not 256; small is of type unsigned char", null],
  ["small", "x", 'invalid global small: must be a whole number, not "x"; small is of type unsigned char', null],
  ["on", "maybe", 'invalid global on: must be true or false, not "maybe"; on is of type _Bool', null],
  ["verdict", "DROP", 'invalid global verdict: no enumerator "DROP"; verdict is of type enum verdict', "ALLOW, DENY"],
  ["iface", "a name that is too long", "invalid global iface: has 23 bytes, and there is room for 16", null],
  ["iface", 10, "invalid global iface: must be text, not 10", "'\"10\"'"],
  ["list", [1], "invalid global list: must be a list of 3, not of 1; list is of type unsigned short[3]", null],
  ["config", { names: 1 }, "invalid global config.names: struct config has no such member", '"name"'],
  ["config", { ports: [1, 2] }, "invalid global config.ports[0]: must be an object, not 1", "number, open"],
  ["wide", 2 ** 60, "invalid global wide: must be a whole number", null],
])("%s=%p is refused", (name, value, message, hint) => {
  const failure = failureOf(() => decoded({ [name]: value }));
  expect(failure).toMatchObject({ code: "INVALID_GLOBAL", details: { global: name } });
  expect(failure.message).toStartWith(message);
  if (hint !== null) expect(failure.hint).toContain(hint);
});

test("a name that is unknown, or given twice, is named, and so is what a large variable takes", () => {
  const unknown = failureOf(() => decoded({ smal: 1 }));
  expect([unknown.code, unknown.hint]).toEqual(["GLOBAL_NOT_FOUND", expect.stringContaining('did you mean "small"?')]);
  const twice = failureOf(() => decodeGlobals({ globalData: { small: "01" }, globals: { small: 1 } }, contents));
  expect(twice.message).toBe('global variable "small" is given twice: as bytes, and as a value');
  expect(failureOf(() => decoded({ huge: "x" })).hint).toBe("give its 67108864 bytes in hex, with --global huge=HEX");
});

test("without type information, only bytes can be given", () => {
  const bare = compileBpf(SOURCE, ["-g0"]);
  const given = { ...none, globals: { small: 1 } };
  const failure = failureOf(() => decodeGlobals(given, { bytes: bare, object: readObject(bare, {}) }));
  expect(failure.message).toEndWith("the object does not say what type it has");
});
