/** What a chain costs each packet, counted in instructions: times differ between machines, and between runs in an emulator. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { type BpfObject, openObject } from "../../ffi/safe/bpf-object.ts";
import { programInfo } from "../../ffi/safe/object-info.ts";
import { TC_ACTIONS, TC_PROCEED_ON_DEFAULT, XDP_ACTIONS, XDP_PROCEED_ON_DEFAULT } from "../../src/domain/actions.ts";
import { type ChainedKind, KINDS } from "../../src/domain/kinds.ts";
import { tcConfig, xdpConfig } from "../../src/dispatcher/dispatcher-config.ts";
import { execute } from "../labs/executed.ts";
import { sh } from "../labs/kernel-lab.ts";
import { temporaryDirectory } from "../labs/temporary-directory.ts";

const directory = temporaryDirectory();
const MEMBERS = [1, 2, 5, 10];
const PASSES = { xdp: XDP_ACTIONS.pass, tc: TC_ACTIONS.ok } as const;

const ours = (hook: ChainedKind): string => resolve(import.meta.dir, `../../dist/bpf/${hook}_dispatcher.bpf.o`);
/** That of xdp-loader, where Debian's package xdp-tools is installed. */
const [libxdp] = [...new Bun.Glob("/usr/lib/*/bpf/xdp-dispatcher.o").scanSync({ cwd: "/", absolute: true })];

function configOf(hook: ChainedKind, count: number): Uint8Array {
  const members = Array.from({ length: count }, (_, priority) => ({ priority, frags: false }));
  if (hook === "xdp") {
    const proceedOn = XDP_PROCEED_ON_DEFAULT.map((name) => XDP_ACTIONS[name]);
    return xdpConfig({ members: members.map((member) => ({ ...member, proceedOn })), frags: false });
  }
  const proceedOn = TC_PROCEED_ON_DEFAULT.map((name) => TC_ACTIONS[name]);
  return tcConfig({ members: members.map((member) => ({ ...member, proceedOn })) });
}

/** Returns how many instructions of the dispatcher run if each member passes the packet on. A member counts as its call. */
function instructionsFor(object: string, hook: ChainedKind, members: number): number {
  const rodata = configOf(hook, members);
  const opened: BpfObject = openObject(readFileSync(object), "dispatcher");
  try {
    const program = opened.select([`${hook}_dispatcher`]).get(`${hook}_dispatcher`)!;
    program.setType(KINDS[hook].programType, null);
    opened.maps.find(({ name }) => name.endsWith(".rodata"))!.writeInitialValue(0, rodata);
    opened.load();
    const file = directory.path("xlated");
    sh("bpftool", "prog", "dump", "xlated", "id", String(programInfo(program.fd()).id), "file", file);
    const returned = BigInt(PASSES[hook]);
    const { count, verdict } = execute(readFileSync(file), { rodata, returned });
    expect(verdict).toBe(returned);
    return count;
  } finally {
    opened.close();
  }
}

describe.each(["xdp", "tc"] as const)("the dispatcher of %s", (hook) => {
  test("costs each further member the same", () => {
    const counts = MEMBERS.map((members) => instructionsFor(ours(hook), hook, members));
    const [one, two] = counts as [number, number];
    const each = two - one;
    expect(each).toBeLessThanOrEqual(hook === "xdp" ? 11 : 13);
    // Loading a constant can take one more, depending on how far away it is.
    for (const [index, members] of MEMBERS.entries()) {
      expect(counts[index]! - (one + each * (members - 1))).toBeWithin(-1, 3);
    }
  });
});

test.skipIf(libxdp === undefined)("the dispatcher of XDP costs no more than that of xdp-loader", () => {
  for (const members of MEMBERS) {
    const own = instructionsFor(ours("xdp"), "xdp", members);
    expect({ members, own }).toEqual({ members, own: Math.min(own, instructionsFor(libxdp!, "xdp", members)) });
  }
});
