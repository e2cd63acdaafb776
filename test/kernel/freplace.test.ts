/** Programs that replace a function of a managed program, with the executable; a test run of that program shows its verdict. */
import { describe, expect, test } from "bun:test";
import { release } from "node:os";
import { resolve } from "node:path";
import { buildBpf } from "../../scripts/build-bpf.ts";
import { RpcError } from "../../rpc/client/client.ts";
import type { ProgramType } from "../../src/domain/kinds.ts";
import type { ErrorCode } from "../../src/errors/codes.ts";
import type { ParamsOf } from "../../rpc/protocol.ts";
import { verdictOf, wire } from "../labs/chain-lab.ts";
import { executable, idOf } from "../labs/executable.ts";
import { extensionTest, noExtensions } from "../labs/extension-test.ts";
import { bpftool } from "../labs/kernel-lab.ts";

buildBpf();
const OBJECT = resolve(import.meta.dir, "../../dist/bpf/fixtures/freplace.bpf.o");
const [DROP, PASS, TX] = [1, 2, 3];

const bpfman = executable();
const line = wire();

const session = () => bpfman.session();
/** Loads what `--programs` would select. */
async function load(selector: string): Promise<number> {
  const [type, name = "", attachFunction = null] = selector.split(":") as [ProgramType, string?, string?];
  const source = { file: OBJECT };
  const { programs } = await (await session()).call("program/load", {
    source,
    programs: [{ type, name, attachFunction }],
  });
  return idOf(programs, name);
}
async function attach(
  programId: number,
  target: ParamsOf<"link/attach">["attach"] = { kind: "freplace" },
): Promise<number> {
  return (await (await session()).call("link/attach", { programId, attach: target })).record.id;
}
const detach = async (linkId: number) => (await session()).call("link/detach", { linkId });
const links = async () => (await (await session()).call("link/list", {})).links;

/** What was said to a request, which must be refused with that code. */
async function refused(code: ErrorCode, request: Promise<unknown>) {
  const thrown = await request.then(() => null).catch((cause: unknown) => cause);
  if (!(thrown instanceof RpcError)) throw thrown ?? new Error(`expected ${code}`);
  expect(thrown.data?.code).toBe(code);
  return { message: thrown.message, hint: thrown.data?.hint, details: thrown.data?.details };
}

describe("a function of a managed program", () => {
  extensionTest("is replaced from attach to detach, as often as that", async () => {
    const whole = idOf(await bpfman.load(OBJECT, "--programs", "whole"), "whole");
    const drop = idOf(await bpfman.load(OBJECT, "--programs", "freplace:drop:whole/decide"), "drop");
    expect(verdictOf(whole)).toBe(PASS);
    const { record } = await bpfman.attach(drop, "freplace");
    expect(record).toMatchObject({
      kind: "freplace",
      program_id: drop,
      details: { target_program_id: whole, fn_name: "decide" },
    });
    expect(bpftool("link", "show", "id", String(record.kernel_link_id))).toMatchObject({
      type: "tracing",
      prog_type: "ext",
      prog_id: drop,
    });
    expect(await bpfman.ok("get", "link", String(record.id))).toMatch(
      new RegExp(`Target Program ID: +${whole}\\b[^]*Attach Function: +decide\\b`),
    );
    expect(await bpfman.ok("list", "links")).toContain(`program ${whole} decide`);
    expect(await bpfman.ok("get", "program", "drop")).toMatch(new RegExp(`Replaces: +${whole}/decide\\b`));
    expect(verdictOf(whole)).toBe(DROP);
    await bpfman.ok("detach", "drop");
    expect(verdictOf(whole)).toBe(PASS);
    const again = await attach(drop);
    expect(verdictOf(whole)).toBe(DROP);
    await detach(again);
    expect(verdictOf(whole)).toBe(PASS);
  });

  extensionTest("keeps its program until what replaces it is unloaded", async () => {
    const whole = await load("xdp:whole");
    const drop = await load(`freplace:drop:${whole}/decide`);
    const link = await attach(drop);
    for (const method of ["program/unload", "program/delete"] as const) {
      const held = await refused("PROGRAM_IN_USE", (await session()).call(method, { programId: whole }));
      expect(held.message).toContain(
        `program ${whole} is held by program ${drop}, loaded to replace functions of it, now by link ${link}`,
      );
      expect(held.hint).toBe(`unload those first: bpfman unload ${drop}`);
    }
    expect(verdictOf(whole)).toBe(DROP);
    await (await session()).call("program/unload", { programId: drop });
    expect(verdictOf(whole)).toBe(PASS);
    await load(`freplace:drop:${whole}/decide`);
    await bpfman.ok("program", "delete", "whole", "--recursive");
    await load("xdp:whole");
    await load("freplace:drop:whole/decide");
    await bpfman.ok("unload", "whole", "drop");
  });

  extensionTest("is replaced by one program at a time, which may be named without what its section says", async () => {
    const whole = await load("xdp:whole");
    const [drop, back] = [await load(`freplace:drop:${whole}/decide`), await load("freplace:send_back:whole")];
    const link = await attach(drop);
    const again = await refused("ALREADY_ATTACHED", attach(drop));
    expect(again.details?.link_id).toBe(link);
    const second = await refused("HOOK_BUSY", attach(back));
    expect(second.message).toContain(`link ${link} of program ${drop} replaces function "decide"`);
    expect(verdictOf(whole)).toBe(DROP);
    await detach(link);
    await attach(back);
    expect(verdictOf(whole)).toBe(TX);
  });

  extensionTest("is not replaced in a chain, and keeps its program out of one", async () => {
    const [whole, other] = [await load("xdp:whole"), await load("xdp:other")];
    const drop = await load(`freplace:drop:${whole}/decide`);
    const onWire = (priority: number) => ({ kind: "xdp", iface: "veth0", netns: line.netns(), priority }) as const;
    await attach(whole, onWire(1));
    const link = await attach(drop);
    const chained = await refused("STATE_CONFLICT", attach(other, onWire(2)));
    expect(chained.message).toContain(
      `program ${whole} cannot run in a chain: link ${link} replaces its function "decide"`,
    );
    expect(chained.hint).toContain(`bpfman detach ${link}`);
    await detach(link);
    await attach(other, onWire(2));
    const inChain = await refused("STATE_CONFLICT", attach(drop));
    expect(inChain.message).toContain(`program ${whole} runs in a chain`);
    expect(await links()).toHaveLength(2);
  });
});

describe("what cannot be replaced", () => {
  extensionTest("is named, with what there is instead", async () => {
    const whole = await load("xdp:whole");
    const misspelt = await refused("SYMBOL_NOT_FOUND", load(`freplace:drop:${whole}/decied`));
    expect(misspelt.message).toBe(`load program "drop": program ${whole} has no function "decied"`);
    expect(misspelt.hint).toContain('"decide"');
    const hidden = await refused("VERIFIER_REJECTED", load(`freplace:drop:${whole}/hidden`));
    expect(hidden.message).toMatch(/not a global function|static/);
    expect(hidden.hint).toContain("remove static");
    const another = await refused("VERIFIER_REJECTED", load(`freplace:with_more:${whole}`));
    expect(another.message).toContain("args");
    expect(another.hint).toContain("arguments");
    const programs = ["drop", "send_back", "with_more"].map((name) => ({ name, attachFunction: "whole/decide" }));
    const { files } = await (await session()).call("object/check", { files: [OBJECT], programs });
    expect(files[0]?.programs.map(({ name, verdict }) => [name, verdict])).toEqual([
      ["drop", "accepted"],
      ["send_back", "accepted"],
      ["with_more", "refused"],
    ]);
    const drop = await load(`freplace:drop:${whole}/decide`);
    const itself = await refused("INVALID_PROGRAM", load(`freplace:send_back:${drop}/drop`));
    expect(itself.message).toContain(`program ${drop} is an freplace program itself`);
    expect(await links()).toEqual([]);
  });

  test("needs a program that bpfman loaded, and a function", async () => {
    const words = ["load", "file", "--path", OBJECT, "--programs"];
    const unnamed = await bpfman.refused(1, "INVALID_PROGRAM", ...words, "freplace:send_back");
    expect(unnamed.message).toBe(
      'program "send_back" replaces a function of another program, and that program is not named',
    );
    expect(unnamed.hint).toContain("name it freplace:send_back:PROGRAM/decide");
    await refused("INVALID_PROGRAM", load("freplace:drop:whole"));
    await refused("PROGRAM_NOT_FOUND", load("freplace:drop:whole/decide"));
    await refused("PROGRAM_NOT_FOUND", load("freplace:drop:4294967295/decide"));
  });

  const without = noExtensions === null ? test.skip : test;
  without(
    `is refused where the kernel has no extensions (${noExtensions ?? `Linux ${release()} has them`})`,
    async () => {
      const whole = await load("xdp:whole");
      const missing = await refused("KERNEL_UNSUPPORTED", load(`freplace:drop:${whole}/decide`));
      expect(missing.message).toStartWith("load freplace: this kernel has no extension programs (BPF_PROG_TYPE_EXT");
      expect(missing.hint).toContain("CONFIG_DEBUG_INFO_BTF");
      expect(await links()).toEqual([]);
    },
  );
});
