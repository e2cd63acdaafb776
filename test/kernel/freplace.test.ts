/** Programs that replace a function of a managed program, with the executable; a test run of that program shows its verdict. */
import { describe, expect, test } from "bun:test";
import { release } from "node:os";
import { resolve } from "node:path";
import { buildBpf } from "../../scripts/build-bpf.ts";
import type { CheckAnswer } from "../../src/domain/check-answer.ts";
import type { ErrorCode } from "../../src/errors/codes.ts";
import { verdictOf, wire } from "../labs/chain-lab.ts";
import { executable, idOf } from "../labs/executable.ts";
import { extensionTest, noExtensions } from "../labs/extension-test.ts";
import { bpftool } from "../labs/kernel-lab.ts";

buildBpf();
const OBJECT = resolve(import.meta.dir, "../../dist/bpf/fixtures/freplace.bpf.o");
const [DROP, PASS, TX] = [1, 2, 3];

const bpfman = executable();
const line = wire();

const load = async (selector: string): Promise<number> =>
  idOf(await bpfman.load(OBJECT, "--programs", selector), selector.split(":")[1] ?? "");
const loadRefused = (exitCode: number, code: ErrorCode, selector: string) =>
  bpfman.refused(exitCode, code, "load", "file", "--path", OBJECT, "--programs", selector);
const attach = async (program: number): Promise<number> => (await bpfman.attach(program, "freplace")).record.id;

describe("a function of a managed program", () => {
  extensionTest("is replaced from attach to detach, as often as that", async () => {
    const whole = await load("xdp:whole");
    const drop = await load(`freplace:drop:${whole}/decide`);
    expect(verdictOf(whole)).toBe(PASS);
    for (let time = 0; time < 2; time++) {
      const link = await attach(drop);
      expect(verdictOf(whole)).toBe(DROP);
      const [found, ...more] = await bpfman.links();
      expect(more).toEqual([]);
      expect(found).toMatchObject({
        id: link,
        kind: "freplace",
        program_id: drop,
        details: { target_program_id: whole, fn_name: "decide" },
      });
      expect(bpftool("link", "show", "id", String(found?.kernel_link_id))).toMatchObject({
        type: "tracing",
        prog_type: "ext",
        prog_id: drop,
      });
      expect(await bpfman.ok("get", "link", String(link))).toMatch(
        new RegExp(`Target Program ID: +${whole}\\b[^]*Attach Function: +decide\\b`),
      );
      expect(await bpfman.ok("list", "links")).toContain(`program ${whole} decide`);
      await bpfman.ok("detach", String(link));
      expect(verdictOf(whole)).toBe(PASS);
    }
    expect(await bpfman.ok("get", "program", String(drop))).toMatch(new RegExp(`Replaces: +${whole}/decide\\b`));
  });

  extensionTest("keeps its program until what replaces it is unloaded", async () => {
    const whole = await load("xdp:whole");
    const drop = await load(`freplace:drop:${whole}/decide`);
    const link = await attach(drop);
    for (const [exitCode, ...words] of [
      [5, "unload"],
      [1, "program", "delete"],
    ] as const) {
      const held = await bpfman.refused(exitCode, "PROGRAM_IN_USE", ...words, String(whole));
      expect(held.message).toContain(
        `program ${whole} is held by program ${drop}, loaded to replace functions of it, now by link ${link}`,
      );
      expect(held.hint).toBe(`unload those first: bpfman unload ${drop}`);
    }
    expect(verdictOf(whole)).toBe(DROP);
    await bpfman.ok("unload", String(drop));
    expect(verdictOf(whole)).toBe(PASS);
    await load(`freplace:drop:${whole}/decide`);
    await bpfman.ok("program", "delete", String(whole), "--recursive");
  });

  extensionTest("is replaced by one program at a time, which may be named without what its section says", async () => {
    const whole = await load("xdp:whole");
    const [drop, back] = [await load(`freplace:drop:${whole}/decide`), await load("freplace:send_back:whole")];
    const link = await attach(drop);
    const again = await bpfman.refused(5, "ALREADY_ATTACHED", "attach", String(drop), "freplace");
    expect(again.details.link_id).toBe(link);
    const second = await bpfman.refused(5, "HOOK_BUSY", "attach", String(back), "freplace");
    expect(second.message).toContain(`link ${link} of program ${drop} replaces function "decide"`);
    expect(verdictOf(whole)).toBe(DROP);
    await bpfman.ok("detach", String(link));
    await attach(back);
    expect(verdictOf(whole)).toBe(TX);
  });

  extensionTest("is not replaced in a chain, and keeps its program out of one", async () => {
    const [whole, other] = [await load("xdp:whole"), await load("xdp:other")];
    const drop = await load(`freplace:drop:${whole}/decide`);
    const place = ["xdp", "-i", "veth0", "-n", line.netns(), "-p"];
    await bpfman.attach(whole, ...place, "1");
    const link = await attach(drop);
    const chained = await bpfman.refused(5, "STATE_CONFLICT", "attach", String(other), ...place, "2");
    expect(chained.message).toContain(
      `program ${whole} cannot run in a chain: link ${link} replaces its function "decide"`,
    );
    expect(chained.hint).toContain(`bpfman detach ${link}`);
    await bpfman.ok("detach", String(link));
    await bpfman.attach(other, ...place, "2");
    const inChain = await bpfman.refused(5, "STATE_CONFLICT", "attach", String(drop), "freplace");
    expect(inChain.message).toContain(`program ${whole} runs in a chain`);
    expect(await bpfman.links()).toHaveLength(2);
  });
});

describe("what cannot be replaced", () => {
  extensionTest("is named, with what there is instead", async () => {
    const whole = await load("xdp:whole");
    const misspelt = await loadRefused(3, "SYMBOL_NOT_FOUND", `freplace:drop:${whole}/decied`);
    expect(misspelt.message).toBe(`load program "drop": program ${whole} has no function "decied"`);
    expect(misspelt.hint).toContain('"decide"');
    const hidden = await loadRefused(1, "VERIFIER_REJECTED", `freplace:drop:${whole}/hidden`);
    expect(hidden.message).toMatch(/not a global function|static/);
    expect(hidden.hint).toContain("remove static");
    const another = await loadRefused(1, "VERIFIER_REJECTED", `freplace:with_more:${whole}`);
    expect(another.message).toContain("args");
    expect(another.hint).toContain("arguments");
    const checked = await bpfman.run(
      ...["check", OBJECT, "-o", "json", "--programs"],
      ...[`freplace:drop:${whole}/decide`, `freplace:send_back:${whole}`, `freplace:with_more:${whole}`],
    );
    const { files }: CheckAnswer = JSON.parse(checked.out);
    expect(files[0]?.programs.map(({ name, verdict }) => [name, verdict])).toEqual([
      ["drop", "accepted"],
      ["send_back", "accepted"],
      ["with_more", "refused"],
    ]);
    const drop = await load(`freplace:drop:${whole}/decide`);
    const itself = await loadRefused(1, "INVALID_PROGRAM", `freplace:send_back:${drop}/drop`);
    expect(itself.message).toContain(`program ${drop} is an freplace program itself`);
    expect(await bpfman.links()).toEqual([]);
  });

  test("needs a program that bpfman loaded, and a function", async () => {
    const unnamed = await loadRefused(1, "INVALID_PROGRAM", "freplace:send_back");
    expect(unnamed.message).toBe(
      'program "send_back" replaces a function of another program, and that program is not named',
    );
    expect(unnamed.hint).toContain("--programs freplace:send_back:PROGRAM/decide");
    await loadRefused(1, "INVALID_PROGRAM", "freplace:drop:whole");
    await loadRefused(3, "PROGRAM_NOT_FOUND", "freplace:drop:whole/decide");
    await loadRefused(3, "PROGRAM_NOT_FOUND", "freplace:drop:4294967295/decide");
  });

  const without = noExtensions === null ? test.skip : test;
  without(
    `is refused where the kernel has no extensions (${noExtensions ?? `Linux ${release()} has them`})`,
    async () => {
      const whole = await load("xdp:whole");
      const missing = await loadRefused(1, "KERNEL_UNSUPPORTED", `freplace:drop:${whole}/decide`);
      expect(missing.message).toStartWith("load freplace: this kernel has no extension programs (BPF_PROG_TYPE_EXT");
      expect(missing.hint).toContain("CONFIG_DEBUG_INFO_BTF");
      expect(await bpfman.links()).toEqual([]);
      await bpfman.ok("unload", String(whole));
    },
  );
});
