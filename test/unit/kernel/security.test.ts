import { expect, test } from "bun:test";
import { effectiveCapabilities, hasRightsOfFile, missingCapabilities } from "../../../src/domain/capabilities.ts";
import { parseLockdown } from "../../../src/kernel/explain/security.ts";

const states: [text: string, state: string | null][] = [
  ["[none] integrity confidentiality", "none"],
  ["none [integrity] confidentiality", "integrity"],
  ["none integrity [confidentiality]", "confidentiality"],
  ["none integrity confidentiality", null],
  ["[paranoia] none", null],
  ["", null],
];
test.each(states)("%p", (text, state) => expect<string | null>(parseLockdown(text)).toBe(state));

const status = (bits: string) => `Name:\tbun\nCapPrm:\tffffffffffffffff\nCapEff:\t${bits}\nCapBnd:\tffffffffffffffff\n`;

const ALL = ["CAP_NET_ADMIN", "CAP_SYS_ADMIN", "CAP_SYS_RESOURCE", "CAP_PERFMON", "CAP_BPF"];

// Bits of include/uapi/linux/capability.h, as capsh --decode reads them.
const cases: [bits: string, names: string[]][] = [
  ["000001ffffffffff", ALL],
  ["0000000000000000", []],
  ["0000008000000000", ["CAP_BPF"]],
  ["0000004000000000", ["CAP_PERFMON"]],
  ["0000000000200000", ["CAP_SYS_ADMIN"]],
  ["0000000000001000", ["CAP_NET_ADMIN"]],
  ["0000000001000000", ["CAP_SYS_RESOURCE"]],
  ["000000c000001000", ["CAP_NET_ADMIN", "CAP_PERFMON", "CAP_BPF"]],
  // What a container gets by default: nothing of use here.
  ["00000000a80425fb", []],
];
test.each(cases)("CapEff %s", (bits, names) => expect<string[]>(effectiveCapabilities(status(bits))).toEqual(names));

test("a text without the line has none", () => expect(effectiveCapabilities("Name:\tbun\n")).toEqual([]));
test("a process can be called like a line", () =>
  expect(effectiveCapabilities(`Name:\tCapEff:\tff\n${status("0000000000000000")}`)).toEqual([]));

const process = (uids: string, effective: string, ambient: string) =>
  `Uid:\t${uids}\t0\t0\nCapPrm:\t${effective}\nCapEff:\t${effective}\nCapAmb:\t${ambient}\n`;

const FULL = "000001ffffffffff";
const NONE = "0000000000000000";
const BPF = "0000008000000000";
const origins: [what: string, status: string, ofFile: boolean][] = [
  ["root", process("0\t0", FULL, NONE), false],
  ["root without any", process("0\t0", NONE, NONE), false],
  ["a user", process("1000\t1000", NONE, NONE), false],
  ["a user with ambient capabilities", process("1000\t1000", BPF, BPF), false],
  ["a user who runs a file with capabilities", process("1000\t1000", BPF, NONE), true],
  ["who has ambient ones, too", process("1000\t1000", "000000c000000000", BPF), true],
  ["a user who runs a setuid file", process("1000\t0", FULL, NONE), true],
  ["one under the name of a line", `Name:\tUid:\t0\t0\n${process("1000\t0", FULL, NONE)}`, true],
];
test.each(origins)("%s", (_what, text, ofFile) => expect(hasRightsOfFile(text)).toBe(ofFile));

test("CAP_SYS_ADMIN stands for the others", () => {
  expect(missingCapabilities(["CAP_BPF", "CAP_PERFMON"], ["CAP_BPF"])).toEqual(["CAP_PERFMON"]);
  expect(missingCapabilities(["CAP_BPF", "CAP_NET_ADMIN"], ["CAP_SYS_ADMIN"])).toEqual([]);
  expect(missingCapabilities(["CAP_SYS_ADMIN"], ["CAP_BPF", "CAP_PERFMON", "CAP_NET_ADMIN"])).toEqual([
    "CAP_SYS_ADMIN",
  ]);
});
