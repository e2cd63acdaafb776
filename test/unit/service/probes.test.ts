/** What the service decides about kprobes and tracing programs before it asks the kernel. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { createInvoke, type Invoke } from "../../../src/service/invoke.ts";
import { compileBpf } from "../../objects/compile.ts";
import { makeTestBed, type TestBed } from "../../fakes/fake-host.ts";
import { failureOfAsync } from "../../expect/failure.ts";

const OBJECT = `
SEC("kprobe") int on_call(void *ctx) { return 0; }
SEC("kretprobe") int on_return(void *ctx) { return 0; }
SEC("fentry") int on_entry(void *ctx) { return 0; }
SEC("lsm") int on_decision(void *ctx) { return 0; }
`;

let bed: TestBed;
let invoke: Invoke;

beforeEach(() => {
  bed = makeTestBed();
  bed.files.contents.set("/x.o", compileBpf(OBJECT));
  invoke = createInvoke(bed.runtime);
});
afterEach(() => bed.close());

async function load(type: string, name: string, attachFunction: string | null = null): Promise<number> {
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
    bed.kernel.functions.set("init_once", { size: null, count: 3 });
    const id = await load("kprobe", "on_call");
    const failure = await failureOfAsync(() => kprobe(id, "init_once"));
    expect(failure).toMatchObject({ code: "ATTACH_FAILED", details: { function: "init_once", count: 3 } });
    expect(failure.message).toContain('3 functions named "init_once"');
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
