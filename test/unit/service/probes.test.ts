/** What the service decides about kprobes and tracing programs before it asks the kernel. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { createInvoke, type Invoke } from "../../../src/service/invoke.ts";
import { compileBpf } from "../../objects/compile.ts";
import { kernelFunction } from "../../fakes/fake-kernel.ts";
import { makeTestBed, type TestBed } from "../../fakes/fake-host.ts";
import { failureOfAsync } from "../../expect/failure.ts";

const OBJECT = `
SEC("kprobe") int on_call(void *ctx) { return 0; }
SEC("kretprobe") int on_return(void *ctx) { return 0; }
SEC("fentry") int on_entry(void *ctx) { return 0; }
SEC("lsm") int on_decision(void *ctx) { return 0; }
SEC("xdp") int whole(struct xdp_md *ctx) { return 2; }
SEC("freplace/decide") int part(struct xdp_md *ctx) { return 1; }
`;

let bed: TestBed;
let invoke: Invoke;

beforeEach(() => {
  bed = makeTestBed();
  bed.files.contents.set("/x.o", compileBpf(OBJECT));
  invoke = createInvoke(bed.runtime);
});
afterEach(() => bed.close());

async function load(type: string | null, name: string, attachFunction: string | null = null): Promise<number> {
  const programs = [{ type, name, attachFunction }];
  const answer = await invoke("program/load", { source: { file: "/x.o" }, programs });
  return answer.programs[0]?.record?.program_id ?? 0;
}
const attach = (programId: number, target: Readonly<Record<string, unknown>>) =>
  invoke("link/attach", { programId, attach: target });
const kprobe = (programId: number, fnName: string, offset = 0) => attach(programId, { kind: "kprobe", fnName, offset });

describe("kprobe", () => {
  test("remembers the function, the offset, and which side of the call it is", async () => {
    const entry = await kprobe(await load("kprobe", "on_call"), "do_unlinkat", 99);
    expect(entry.record).toMatchObject({
      kind: "kprobe",
      details: { fn_name: "do_unlinkat", offset: 99, retprobe: false },
    });
    const back = await kprobe(await load("kprobe", "on_return"), "do_unlinkat");
    expect(back.record).toMatchObject({
      kind: "kretprobe",
      details: { fn_name: "do_unlinkat", offset: 0, retprobe: true },
    });
  });

  test("an offset must lie inside of the function, where its size is known", async () => {
    const id = await load("kprobe", "on_call");
    const beyond = await failureOfAsync(() => kprobe(id, "do_unlinkat", 100));
    expect(beyond).toMatchObject({
      code: "INVALID_ATTACH",
      details: { function: "do_unlinkat", offset: 100, size: 100 },
    });
    expect((await kprobe(id, "do_sys_open", 1_000_000)).record.details).toMatchObject({ offset: 1_000_000 });
  });

  test("a name that several functions have is rejected, since nobody can know which one would be chosen", async () => {
    bed.kernel.functions.set(
      "init_once",
      [1n, 2n, 3n].map((address) => kernelFunction("init_once", { address })),
    );
    const id = await load("kprobe", "on_call");
    const failure = await failureOfAsync(() => kprobe(id, "init_once"));
    expect(failure).toMatchObject({ code: "ATTACH_FAILED", details: { function: "init_once", count: 3 } });
    expect(failure.message).toContain('3 functions named "init_once"');
  });

  const TWICE = 0xffff_ffff_8100_1000n;
  const several = () =>
    bed.kernel.functions.set("init_once", [
      kernelFunction("init_once", { address: TWICE, size: 16 }),
      kernelFunction("init_once", { address: TWICE + 64n, size: 32 }),
      kernelFunction("init_once", { address: 0xffff_ffff_c000_0000n, module: "ext4", size: 48 }),
    ]);
  /** What the kernel was told last. */
  const told = (): unknown => bed.kernel.attached.at(-1);

  test("one of several functions is chosen by its module or its address", async () => {
    several();
    const id = await load("kprobe", "on_call");
    const ext4 = await kprobe(id, "ext4:init_once");
    expect(ext4.record.details).toMatchObject({ fn_name: "ext4:init_once", offset: 0 });
    expect(told()).toMatchObject({ address: 0xffff_ffff_c000_0000n });
    const ambiguous = await failureOfAsync(() => kprobe(id, "vmlinux:init_once"));
    expect(ambiguous.hint).toContain("0xffffffff81001000 (vmlinux), 0xffffffff81001040 (vmlinux)");
    const chosen = await kprobe(id, "0xffffffff81001040+0x1f");
    expect(chosen.record.details).toMatchObject({ fn_name: "0xffffffff81001040", offset: 31 });
    expect(told()).toMatchObject({ address: TWICE + 64n, offset: 31 });
    for (const [name, code] of [
      ["0xffffffff81001040+32", "INVALID_ATTACH"],
      ["0xffffffff81001041", "SYMBOL_NOT_FOUND"],
      ["xfs:init_once", "SYMBOL_NOT_FOUND"],
    ] as const) {
      expect([name, (await failureOfAsync(() => kprobe(id, name))).code]).toEqual([name, code]);
    }
    expect((await failureOfAsync(() => kprobe(id, "xt4:init_once"))).hint).toContain('"ext4:init_once"');
  });

  test("modules tell functions apart that are not in one of them", async () => {
    bed.kernel.functions.set("probe", [kernelFunction("probe", { module: "a" }), kernelFunction("probe")]);
    const failure = await failureOfAsync(async () => kprobe(await load("kprobe", "on_call"), "probe"));
    expect(failure.hint).toBe("name the module: a:probe, vmlinux:probe");
  });

  test("hidden addresses choose nothing", async () => {
    const hidden = [
      kernelFunction("init_once", { address: 0n, module: "a" }),
      kernelFunction("init_once", { address: 0n }),
    ];
    bed.kernel.functions.set("init_once", hidden);
    const id = await load("kprobe", "on_call");
    for (const name of ["init_once", "a:init_once"]) {
      expect((await failureOfAsync(() => kprobe(id, name))).hint).toContain("kernel.kptr_restrict");
    }
    bed.kernel.functions.set("init_once", hidden.slice(0, 1));
    await kprobe(id, "a:init_once");
    expect(told()).toMatchObject({ fnName: "init_once", address: null });
  });

  test("the offset may stand behind the name", async () => {
    const id = await load("kprobe", "on_call");
    const link = await kprobe(id, "do_unlinkat+0x4");
    expect(link.record.details).toMatchObject({ fn_name: "do_unlinkat", offset: 4 });
    expect((await failureOfAsync(() => kprobe(id, "do_unlinkat+4", 4))).code).toBe("INVALID_ATTACH");
    expect((await failureOfAsync(() => kprobe(id, "do_unlinkat+200"))).code).toBe("INVALID_ATTACH");
  });

  test("what is rejected leaves no row", async () => {
    const id = await load("kretprobe", "on_return");
    for (const [code, target] of [
      ["SYMBOL_NOT_FOUND", { fnName: "do_unlinkta" }],
      ["INVALID_ATTACH", { fnName: "do_unlinkat", offset: 1 }],
      ["NOT_SUPPORTED", { fnName: "do_unlinkat", containerPid: 1 }],
    ] as const) {
      expect((await failureOfAsync(() => attach(id, { kind: "kprobe", ...target }))).code).toBe(code);
    }
    expect((await invoke("link/list", {})).links).toEqual([]);
  });
});

describe("fentry and lsm", () => {
  test("go where they were loaded for", async () => {
    const id = await load("fentry", "on_entry", "do_unlinkat");
    expect((await attach(id, { kind: "fentry" })).record.details).toEqual({ fn_name: "do_unlinkat" });
  });

  test("lsm needs the BPF LSM to be active, and says how to switch it on", async () => {
    const id = await load("lsm", "on_decision", "file_open");
    bed.kernel.lsm = false;
    const failure = await failureOfAsync(() => attach(id, { kind: "lsm" }));
    expect(failure).toMatchObject({
      code: "KERNEL_UNSUPPORTED",
      message: "attach lsm: the BPF LSM is not active in this kernel",
    });
    expect(failure.hint).toContain("lsm=");
    expect((await invoke("link/list", {})).links).toEqual([]);
    bed.kernel.lsm = true;
    expect((await attach(id, { kind: "lsm" })).record.details).toEqual({ hook_name: "file_open" });
  });
});

describe("freplace", () => {
  test("replaces a function of the program that was named at the load, by its id or name", async () => {
    const whole = await load("xdp", "whole");
    for (const named of ["whole", `${whole}`, `${whole}/decide`, "whole/decide"]) {
      const part = await load("freplace", "part", named);
      const { programs } = await invoke("program/list", {});
      expect(programs.find(({ record }) => record?.program_id === part)?.record?.load.attach_func).toBe(
        `${whole}/decide`,
      );
      const { record } = await attach(part, { kind: "freplace" });
      expect(record).toMatchObject({ kind: "freplace", details: { target_program_id: whole, fn_name: "decide" } });
      await invoke("program/unload", { programId: part });
    }
    await invoke("program/unload", { programId: whole });
  });

  test("needs a managed program that is none itself", async () => {
    const whole = await load("xdp", "whole");
    const part = await load("freplace", "part", `${whole}`);
    for (const [code, named] of [
      ["INVALID_PROGRAM", null],
      ["INVALID_PROGRAM", "/decide"],
      ["INVALID_PROGRAM", "whole/"],
      ["INVALID_PROGRAM", `${part}/part`],
      ["PROGRAM_NOT_FOUND", "nobody"],
      ["PROGRAM_NOT_FOUND", "4294967295"],
    ] as const) {
      expect([named, (await failureOfAsync(() => load("freplace", "part", named))).code]).toEqual([named, code]);
    }
    const { programs } = await invoke("program/list", {});
    expect(programs).toHaveLength(2);
  });

  test("a function is replaced once, and its program stays until then", async () => {
    const whole = await load("xdp", "whole");
    const [part, another] = [await load("freplace", "part", "whole"), await load("freplace", "part", "whole")];
    const { record } = await attach(part, { kind: "freplace" });
    expect(await failureOfAsync(() => attach(part, { kind: "freplace" }))).toMatchObject({
      code: "ALREADY_ATTACHED",
      details: { link_id: record.id },
    });
    expect(await failureOfAsync(() => attach(another, { kind: "freplace" }))).toMatchObject({
      code: "HOOK_BUSY",
      details: { link_id: record.id, program_id: part },
    });
    const held = { code: "PROGRAM_IN_USE", details: { programs: [part, another], links: [record.id] } };
    expect(await failureOfAsync(() => invoke("program/unload", { programId: whole }))).toMatchObject(held);
    const replace = (id: number) => invoke("program/replace", { programIds: [id], source: { file: "/x.o" } });
    expect(await failureOfAsync(() => replace(whole))).toMatchObject(held);
    expect(await failureOfAsync(() => replace(part))).toMatchObject({ code: "NOT_SUPPORTED" });
    const hook = await attach(whole, { kind: "xdp", iface: "eth0", priority: 50 });
    expect(await failureOfAsync(() => invoke("link/delete", { linkId: hook.record.id }))).toMatchObject(held);
    expect((await invoke("link/list", {})).links).toHaveLength(2);
    expect(await failureOfAsync(() => invoke("program/delete", { programId: whole }))).toMatchObject(held);
    expect((await invoke("program/delete", { programId: whole, recursive: true })).deleted).toEqual([
      part,
      another,
      whole,
    ] as number[]);
  });

  test("all programs can be deleted at once, those that replace functions first", async () => {
    const whole = await load("xdp", "whole");
    const part = await load("freplace", "part", "whole");
    expect((await invoke("program/delete", { all: true })).deleted).toEqual([part, whole] as number[]);
  });

  test("what depends on a program that goes along goes first", async () => {
    const owner = await load("kprobe", "on_call");
    const programs = [{ type: "xdp", name: "whole" }];
    const answer = await invoke("program/load", { source: { file: "/x.o" }, programs, mapOwnerId: owner });
    const whole = answer.programs[0]?.record?.program_id ?? 0;
    const part = await load("freplace", "part", "whole");
    const { deleted } = await invoke("program/delete", { programId: owner, recursive: true });
    expect(deleted).toEqual([part, whole, owner] as number[]);
  });

  test("the end of a session unloads what it loaded, but what another's program holds only after that one", async () => {
    const whole = async (owner: string) =>
      (await invoke("program/load", { source: { file: "/x.o" }, programs: [{ name: "whole" }] }, { owner })).programs;
    const replacing = async (owner: string) => {
      const programs = [{ name: "part", attachFunction: "whole" }];
      const { record } = (await invoke("program/load", { source: { file: "/x.o" }, programs }, { owner }))
        .programs[0] as { record: { program_id: number } };
      await invoke("link/attach", { programId: record.program_id, attach: { kind: "freplace" } }, { owner });
      return record.program_id;
    };
    const left = async () => (await invoke("program/list", {})).programs.map(({ record }) => record?.program_id);
    const ending = async (...owners: string[]) => {
      for (const owner of owners) bed.ended.add(owner as never);
      await invoke("program/unload", { programId: 1, ignoreMissing: true });
      return left();
    };
    await whole("77:1:1");
    await replacing("77:1:1");
    expect(await ending("77:1:1")).toEqual([]);
    const held = (await whole("78:1:1"))[0]?.record?.program_id;
    const holder = await replacing("79:1:1");
    expect(await ending("78:1:1")).toEqual([held, holder]);
    expect(bed.logged.at(-1)).toContain(`could not unload program ${held} of an ended session`);
    expect((await invoke("link/list", {})).links).toHaveLength(1);
    await invoke("program/unload", { programId: holder });
    expect(await ending()).toEqual([]);
  });

  const checked = async (attachFunction: string | null) => {
    const programs = [{ type: "freplace", name: "part", attachFunction }];
    const { files } = await invoke("object/check", { files: ["/x.o"], programs });
    return files.flatMap((file) => file.programs)[0];
  };

  test("is checked against a loaded program that is named, and skipped without", async () => {
    const reason =
      "it is checked against the loaded program of which it replaces a function: name it freplace:part:PROGRAM/decide";
    expect(await checked(null)).toMatchObject({ verdict: "skipped", reason });
    const whole = await load("xdp", "whole");
    for (const named of ["whole", `${whole}/decide`]) {
      expect(await checked(named)).toMatchObject({ verdict: "accepted", type: "freplace" });
    }
    expect(await failureOfAsync(() => checked("nobody/decide"))).toMatchObject({ code: "PROGRAM_NOT_FOUND" });
    expect(await failureOfAsync(() => checked("/decide"))).toMatchObject({ code: "INVALID_PROGRAM" });
  });

  test("a kernel without extensions is said to be one", async () => {
    await load("xdp", "whole");
    bed.kernel.refused.add("part");
    expect((await checked("whole"))?.refusal).toMatchObject({ code: "KERNEL_UNSUPPORTED" });
    expect(await failureOfAsync(() => load(null, "part", "whole"))).toMatchObject({
      code: "KERNEL_UNSUPPORTED",
      message: "load freplace: this kernel has no extension programs (BPF_PROG_TYPE_EXT: EPERM)",
    });
    bed.kernel.ext = true;
    expect(await failureOfAsync(() => load(null, "part", "whole"))).toMatchObject({ code: "VERIFIER_REJECTED" });
  });
});
