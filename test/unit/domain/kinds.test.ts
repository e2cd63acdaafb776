/** The table of kinds is whole, and whatever a new row needs beside it is missed by name. */
import { describe, expect, test } from "bun:test";
import { ATTACH_TYPE, PROG_TYPE } from "../../../ffi/layout/generated.ts";
import { LINK_TYPE } from "../../../ffi/layout/generated-objects.ts";
import { attachTypeWord, linkTypeWord, programTypeText } from "../../../src/domain/kernel-words.ts";
import {
  ATTACH_KINDS,
  factsOf,
  isChainedKind,
  kernelTypeOf,
  type KindFacts,
  kindsOfSection,
  PROGRAM_TYPES,
} from "../../../src/domain/kinds.ts";
import { attachTarget } from "../../../src/service/requests/attach-request.ts";
import { cli } from "../../fakes/cli-host.ts";

test("no section belongs to two kinds", () => {
  const all = PROGRAM_TYPES.flatMap((kind) => Object.keys(factsOf(kind).sections));
  expect(all.filter((section, place) => all.indexOf(section) !== place)).toEqual([]);
});

describe.each(PROGRAM_TYPES.map((kind) => [kind, factsOf(kind)] as const))("%s", (kind, facts) => {
  test("is called something that stands in a sentence", () => {
    // As it is said aloud: an X-D-P, an f-entry, a U-probe, an S-K-lookup, an L-W-T.
    const [, article, name = ""] = /^(an?) ([A-Za-z0-9_. ]+)$/.exec(facts.display) ?? [];
    expect([name, article]).toEqual([
      name,
      /^(XDP|lsm|f(entry|exit|mod|replace|session)|sk_|lwt|[aeio])/i.test(name) ? "an" : "a",
    ]);
  });

  test("is attached, or what runs it is said", () => {
    expect([facts.attachKind === null, kind]).toEqual([facts.loadOnly !== null, kind]);
  });

  test("has sections, and a family that is there and is one program to the kernel", () => {
    expect(Object.keys(facts.sections)).not.toEqual([]);
    if (facts.family === null) return;
    const head = PROGRAM_TYPES.find((each) => each === facts.family);
    expect(head).toBeDefined();
    const { programType, sectionDecides } = factsOf(head ?? kind);
    expect([programType, sectionDecides]).toEqual([facts.programType, facts.sectionDecides]);
  });

  test("is known to the kernel by the number of its name", () => {
    for (const section of Object.keys(facts.sections)) {
      const { type, expectedAttachType } = kernelTypeOf(facts, section);
      expect(PROG_TYPE[type]).toBeNumber();
      if (expectedAttachType !== null) expect(ATTACH_TYPE[expectedAttachType]).toBeNumber();
    }
  });

  test("is attached in both grammars and over JSON-RPC, if it is attached at all", async () => {
    if (facts.attachKind === null) return;
    const requests = attachTarget().options.map((option) => option.entries.kind.literal as string);
    expect(requests).toContain(facts.attachKind);
    for (const group of ["attach", "link attach"]) {
      const { out } = await cli(`${group} --help`);
      expect([group, out]).toEqual([group, expect.stringMatching(RegExp(`^  ${facts.attachKind} `, "m"))]);
    }
  });

  test("is named where the help says what can be loaded", async () => {
    for (const command of ["load file --help", "program load file --help"]) {
      const { out } = await cli(command);
      expect([command, out]).toEqual([command, expect.stringMatching(RegExp(`\\b${kind.replace(".", "\\.")}\\b`))]);
    }
  });

  test("is what a line begins with that the habits explain, if it is attached", async () => {
    if (facts.attachKind === null) return;
    // A command of its own, which reads what such programs write.
    if (kind === "iter") return;
    const { err } = await cli(`${kind} 5`);
    expect(err).toContain('type "bpfman attach ID KIND"');
  });
});

test("every request to attach is of a kind", () => {
  const requests = attachTarget().options.map((option) => option.entries.kind.literal);
  expect([...requests].sort()).toEqual([...ATTACH_KINDS].sort());
});

test("the words for the kernel's numbers stand at their places", () => {
  for (const [name, number] of Object.entries(ATTACH_TYPE)) expect(attachTypeWord(number)).toBe(name.toLowerCase());
  for (const [name, number] of Object.entries(LINK_TYPE)) expect(linkTypeWord(number)).toBe(name.toLowerCase());
  const text = {
    KPROBE: "probe",
    SCHED_CLS: "tc",
    LSM: "lsm",
    NETFILTER: "netfilter",
    RAW_TRACEPOINT: "raw-tracepoint",
  };
  for (const [name, word] of Object.entries(text)) {
    expect(programTypeText(PROG_TYPE[name as keyof typeof text])).toBe(word);
  }
  expect([attachTypeWord(999), linkTypeWord(999)]).toEqual(["unknown(999)", "unknown(999)"]);
});

test("a TC section can be loaded for either hook, any other for its own", () => {
  expect(PROGRAM_TYPES.filter((kind) => kindsOfSection(kind).length > 1)).toEqual(["tc"]);
  expect(kindsOfSection("tc")).toEqual(["tc", "tcx"]);
  expect(PROGRAM_TYPES.filter(isChainedKind)).toEqual(["xdp", "tc"]);
});

/** A kind of several sections, some with a type or an attach type of their own. */
const MADE_UP: KindFacts = {
  ...factsOf("tracepoint"),
  attachKind: null,
  programType: "RAW_TRACEPOINT",
  sections: {
    made_up: {},
    "made_up.w": { programType: "RAW_TRACEPOINT_WRITABLE" },
    "cgroup/connect4": { programType: "CGROUP_SOCK_ADDR", expectedAttachType: "CGROUP_INET4_CONNECT" },
  },
};
test.each([
  ["made_up/sched_switch", "RAW_TRACEPOINT", null],
  ["?made_up.w/sched_switch", "RAW_TRACEPOINT_WRITABLE", null],
  ["cgroup/connect4", "CGROUP_SOCK_ADDR", "CGROUP_INET4_CONNECT"],
  ["cgroup/other", "RAW_TRACEPOINT", null],
  ["constructor", "RAW_TRACEPOINT", null],
] as const)("a section may have types of its own: %s", (section, type, expectedAttachType) => {
  expect(kernelTypeOf(MADE_UP, section)).toEqual({ type, expectedAttachType, sleepable: false });
});
