/** Each sentence of src/dispatcher/PROTOCOL.md is covered by a test, either here or in the named file. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { buildBpf } from "../../../scripts/build-bpf.ts";
import { TC_ACTIONS, TC_PROCEED_ON_DEFAULT, XDP_ACTIONS, XDP_PROCEED_ON_DEFAULT } from "../../../src/domain/actions.ts";
import { KINDS } from "../../../src/domain/kinds.ts";
import { proceedOnMask, tcConfig, xdpConfig } from "../../../src/dispatcher/dispatcher-config.ts";
import { readObject } from "../../../src/object/object-file.ts";

const ROOT = resolve(import.meta.dir, "../../..");
const read = (path: string): string => readFileSync(resolve(ROOT, path), "utf8");
const PROTOCOL = read("src/dispatcher/PROTOCOL.md");

/** Text without headings and tables, as sentences. */
const SENTENCES = PROTOCOL.split(/\n\n|\n(?=- )/)
  .map((block) => block.trim())
  .filter((block) => block !== "" && !/^[#|]/.test(block))
  .flatMap((block) =>
    block
      .replace(/^- /, "")
      .replaceAll(/\s+/g, " ")
      .split(/(?<=[.:])\s+(?=[A-Z`])/),
  );

const held = new Set<string>();

/** Returns the sentence with that beginning. */
function sentence(start: string): string {
  const found = SENTENCES.filter((candidate) => candidate.startsWith(start));
  expect({ start, found: found.length }).toEqual({ start, found: 1 });
  held.add(found[0] ?? "");
  return found[0] ?? "";
}

const holds = (start: string, run: (text: string) => void): void => {
  test(start, () => run(sentence(start)));
};

/** Names the tests that cover a sentence, by parts of their names. */
const heldBy = (start: string, file: string, ...names: readonly string[]): void => {
  test(`${start} (${file})`, () => {
    sentence(start);
    const text = read(file);
    expect(names.filter((name) => !text.includes(name))).toEqual([]);
  });
};

const KERNEL = "test/kernel/dispatcher.test.ts";
const XDP = "test/kernel/xdp.test.ts";
const TC = "test/kernel/tc.test.ts";
const TWINS = "test/kernel/twins.test.ts";
const TAIL_CALLS = "test/e2e/tail-calls.test.ts";
const SERVICE = "test/unit/service/chain.test.ts";

buildBpf();
const objectOf = (hook: "xdp" | "tc") =>
  new Uint8Array(readFileSync(resolve(ROOT, `dist/bpf/${hook}_dispatcher.bpf.o`)));
const sourceOf = (hook: "xdp" | "tc") => read(`src/dispatcher/bpf/${hook}_dispatcher.bpf.c`);
const contains = (bytes: Uint8Array, text: string): boolean => Buffer.from(bytes).includes(text);

/** The offsets of a table, by field. */
const table = (start: string): Record<string, number> => {
  const rows = PROTOCOL.slice(PROTOCOL.indexOf(start)).split("\n\n")[1] ?? "";
  return Object.fromEntries(
    [...rows.matchAll(/^\| (\d+) \| \S+ \| (\w+)/gm)].map(([, offset, name]) => [name, Number(offset)]),
  );
};

describe("introduction", () => {
  holds("This page describes how several XDP or TC programs", () => {});
  heldBy("The XDP dispatcher has the layout", "test/unit/dispatcher/config.test.ts", "of an XDP dispatcher");
  holds("Numbers are little-endian.", () => {
    const view = new DataView(tcConfig({ members: [{ priority: 1000, proceedOn: [] }] }).buffer);
    expect(view.getUint32(44, true)).toBe(1000);
  });
});

describe("XDP", () => {
  heldBy("A program alone on its hook is attached", SERVICE, "of %s runs directly; a second makes a chain");
  holds("Otherwise, and for several programs, a single program", () => {
    expect(readObject(objectOf("xdp")).programs).toMatchObject([{ name: "xdp_dispatcher", kind: "xdp" }]);
  });
  holds("It calls up to ten slots", () => {
    for (const hook of ["xdp", "tc"] as const) {
      for (let slot = 0; slot < 10; slot++) expect(contains(objectOf(hook), `prog${slot}\0`)).toBe(true);
      expect(contains(objectOf(hook), "prog10")).toBe(false);
    }
  });
  holds("Its configuration is the symbol `conf`", () => {
    expect(readObject(objectOf("xdp")).globals).toEqual([{ name: "conf", section: ".rodata", offset: 0, size: 124 }]);
    const at = table("the symbol `conf`");
    expect(at).toEqual({
      magic: 0,
      dispatcher_version: 1,
      num_progs_enabled: 2,
      is_xdp_frags: 3,
      chain_call_actions: 4,
      run_prios: 44,
      program_flags: 84,
    });
    const bytes = xdpConfig({ members: [{ priority: 9, proceedOn: [0], frags: true }], frags: true });
    const view = new DataView(bytes.buffer);
    expect([...bytes.subarray(0, 4)]).toEqual([236, 2, 1, 1]);
    expect(view.getUint32(at.chain_call_actions ?? -1, true)).toBe(1);
    expect(view.getUint32(at.run_prios ?? -1, true)).toBe(9);
    expect(view.getUint32(at.program_flags ?? -1, true)).toBe(32);
  });
  heldBy("It is frozen before the program is loaded", KERNEL, "its configuration is frozen");
  holds("The BTF of section `xdp_metadata`", () => {
    expect(contains(objectOf("xdp"), "xdp_metadata\0")).toBe(true);
    expect(contains(objectOf("xdp"), "dispatcher_version\0")).toBe(true);
    expect(sourceOf("xdp")).toContain('__uint(dispatcher_version, VERSION) SEC("xdp_metadata")');
    expect(sourceOf("xdp")).toContain("#define VERSION 2\n");
  });
  heldBy("For each slot i below num_progs_enabled,", KERNEL, "ten members run in their order");
  heldBy(
    "If the bit for its return value",
    KERNEL,
    "goes on or ends the chain as the usual mask says",
    "every value that has a bit",
  );
  heldBy("Otherwise the next slot runs;", KERNEL, "what the last member says is not the chain's word");
  heldBy("A return value above 31 has no bit.", KERNEL, "a value without a bit ends the chain");
  heldBy("A slot that has not been replaced returns 31", KERNEL, "a slot that nobody replaced");
  holds("Bit n of a mask stands for action n", (text) => {
    for (const [name, bit] of Object.entries(XDP_ACTIONS)) {
      expect(text).toMatch(new RegExp(`${name} (is bit )?${bit}\\b`));
      expect(proceedOnMask("xdp", [bit])).toBe(2 ** bit);
    }
  });
  holds("The default, pass and dispatcher_return", (text) => {
    const mask = proceedOnMask(
      "xdp",
      XDP_PROCEED_ON_DEFAULT.map((name) => XDP_ACTIONS[name]),
    );
    expect(text).toContain(`0x${mask.toString(16)}.`);
  });
  heldBy("The dispatcher is loaded with BPF_F_XDP_HAS_FRAGS", KERNEL, "a dispatcher of members that take fragments");
  heldBy("All XDP programs (members, twins and dispatchers)", TWINS, "twins share program arrays", "of any type");
});

describe("TC", () => {
  heldBy("A program alone on its hook runs in the filter", SERVICE, "while somebody else's filter stands behind it");
  heldBy("If somebody adds a filter later", SERVICE, "while somebody else's filter stands behind it");
  heldBy(
    "Otherwise, `tc_dispatcher` runs in a cls_bpf filter",
    TC,
    "runs its program, then another in its place, and goes",
  );
  holds("Its configuration is the symbol `CONFIG`", () => {
    expect(readObject(objectOf("tc")).globals).toEqual([{ name: "CONFIG", section: ".rodata", offset: 0, size: 84 }]);
    const at = table("the symbol `CONFIG`");
    expect(at).toEqual({ num_progs_enabled: 0, chain_call_actions: 4, run_prios: 44 });
    const bytes = tcConfig({ members: [{ priority: 9, proceedOn: [-1] }] });
    const view = new DataView(bytes.buffer);
    expect([...bytes.subarray(0, 4)]).toEqual([1, 0, 0, 0]);
    expect(view.getUint32(at.chain_call_actions ?? -1, true)).toBe(1);
    expect(view.getUint32(at.run_prios ?? -1, true)).toBe(9);
  });
  holds("The bit for a return value is that value plus one", (text) => {
    for (const [name, value] of Object.entries(TC_ACTIONS)) {
      expect(proceedOnMask("tc", [value])).toBe(2 ** (value + 1));
      if (name === "dispatcher_return") continue;
      expect(text).toMatch(new RegExp(`${name} (\\(-1\\) is bit )?${value + 1}\\b`));
    }
  });
  heldBy("A slot that has not been replaced returns 30", KERNEL, "a slot that nobody replaced");
  holds("The default, ok, pipe and dispatcher_return", (text) => {
    const mask = proceedOnMask(
      "tc",
      TC_PROCEED_ON_DEFAULT.map((name) => TC_ACTIONS[name]),
    );
    expect(text).toContain(`0x${mask.toString(16)}.`);
  });
  heldBy("After the last slot, the verdict is TC_ACT_OK.", KERNEL, "what the last member says is not the chain's word");
});

describe("members that modify packets", () => {
  heldBy("Since the end of 2024,", KERNEL, "members that change packets");
  heldBy("Therefore each slot contains a call", KERNEL, "members that change packets");
  holds("`bpf_xdp_adjust_tail(ctx, 0)` for XDP", () => {
    expect(sourceOf("xdp")).toContain("bpf_xdp_adjust_tail(ctx, 0)");
    expect(sourceOf("tc")).toContain("bpf_skb_pull_data(skb, 0)");
  });
});

describe("members", () => {
  holds("A member is a program of its own type.", () => {
    expect([KINDS.xdp.programType, KINDS.tc.programType]).toEqual(["XDP", "SCHED_CLS"]);
    expect([KINDS.xdp.expectedAttachType, KINDS.tc.expectedAttachType]).toEqual([null, null]);
  });
  heldBy("The kernel accepts only extensions in slots", TWINS, "twins share program arrays with their programs");
  heldBy("Initial values of maps are left out", "test/unit/object/twin.test.ts", "whatever the program has");
  heldBy("A twin is verified once", SERVICE, "One for each program, whatever happens to the chain");
  heldBy("A program without BTF has no twin", SERVICE, "without BTF runs alone, and no other joins it");
  heldBy("A program array accepts members but not their twins.", TAIL_CALLS, "an array that is filled later");
  heldBy("The object can fill it", TAIL_CALLS, "that the object fills");
  heldBy("A twin uses the same array", TAIL_CALLS, "jump as they did alone");
  heldBy("It is attached to each new dispatcher", KERNEL, "without being loaded again", "what is in the slots");
  heldBy(
    "Members run in ascending order of priority;",
    SERVICE,
    "is in order of priority, the newcomer before its equals, then by name",
  );
  heldBy("A program may be a member more than once.", KERNEL, "the same program can sit in several slots");
  heldBy("An eleventh member is rejected.", SERVICE, "rejects the eleventh without a trace");
});

describe("changes", () => {
  heldBy("A revision of one program that runs directly", SERVICE, "of %s runs directly; a second makes a chain");
  heldBy("Every change creates revision n+1", SERVICE, "keeps link ids, metadata and times over rebuilds");
  heldBy("Then the hook is swapped:", SERVICE, "moves a live link by one swap");
  heldBy("XDP with BPF_LINK_UPDATE", XDP, "swap puts another program in its place, and only of the one that is there");
  heldBy("TC by replacing the program", TC, "runs its program, then another in its place");
  heldBy("A hook never has two dispatchers", KERNEL, " of them lose nothing");
  heldBy("Revision n is removed once no packet is inside it", KERNEL, " of them let nothing past a member that drops");
  heldBy(
    "A filter is deleted by its exact priority",
    TC,
    "filters of others are not touched, also at the same priority",
  );
  heldBy("An `ingress` qdisc in its place", TC, "an ingress qdisc is rejected, and stays");
});

describe("reading", () => {
  heldBy(
    "A reader of a dispatcher's configuration",
    "test/unit/dispatcher/config.test.ts",
    "rejects what it does not know",
  );
});

test("no sentence is left without a test", () => {
  expect(SENTENCES.filter((text) => !held.has(text))).toEqual([]);
});
