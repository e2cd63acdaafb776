import { expect, test } from "bun:test";
import { effectiveCapabilities } from "../../../src/domain/capabilities.ts";
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
