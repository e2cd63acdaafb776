/** Pages and streams of what an iterator's program writes; who it belongs to is what every link's tests look at. */
import { expect, test } from "bun:test";
import { ITERATOR_PAGE_BYTES_MAX } from "../../../src/domain/limits.ts";
import type { BpfmanError } from "../../../src/errors/error.ts";
import type { Invoke } from "../../../src/service/invoke.ts";
import type { TestBed } from "../../fakes/fake-host.ts";
import { beforeEachServiceBed } from "../../fakes/service-bed.ts";
import { compileBpf } from "../../objects/compile.ts";

let bed: TestBed;
let invoke: Invoke;

const SOURCE = `SEC("iter/task") int tasks(void *ctx) { return 0; } SEC("tcx") int count(void *ctx) { return 0; }`;
beforeEachServiceBed((made, call) => {
  [bed, invoke] = [made, call];
  bed.files.contents.set("/x.o", compileBpf(SOURCE));
});

async function attached(): Promise<number> {
  const programs = [{ type: "iter", name: "tasks", attachFunction: "task" }];
  const { programs: loaded } = await invoke("program/load", { source: { file: "/x.o" }, programs });
  const programId = loaded[0]?.record?.program_id as number;
  const { record } = await invoke("link/attach", { programId, attach: { kind: "iter" } });
  expect(record).toMatchObject({ kind: "iter", details: { iterator: "task", map_id: null } });
  return record.id;
}

const text = (base64: string): string => Buffer.from(base64, "base64").toString();
const code = (work: Promise<unknown>) => work.then(String, (cause: BpfmanError) => cause.code);

test("pages follow each other by their offsets, wherever the parts end", async () => {
  const linkId = await attached();
  bed.kernel.iterated = ["abc", "", "defgh", "i"];
  expect(await invoke("link/read", { linkId })).toEqual({ link_id: linkId, output: "YWJjZGVmZ2hp", next: null });
  for (const limit of [1, 2, 3, 4, 8, 9, 10]) {
    const seen: string[] = [];
    for (let offset: number | null = 0; offset !== null; ) {
      const { output, next }: { output: string; next: number | null } = await invoke("link/read", {
        linkId,
        offset,
        limit,
      });
      expect(text(output).length).toBeLessThanOrEqual(limit);
      seen.push(text(output));
      offset = next;
    }
    expect([limit, seen.join(""), seen.length]).toEqual([limit, "abcdefghi", Math.ceil(9 / limit)]);
  }
  expect(await invoke("link/read", { linkId, offset: 100 })).toMatchObject({ output: "", next: null });
  expect(await code(invoke("link/read", { linkId, limit: ITERATOR_PAGE_BYTES_MAX + 1 }))).toBe("INVALID_REQUEST");
});

test("a sink gets the parts as they come, until it wants no more or somebody interrupts", async () => {
  const linkId = await attached();
  bed.kernel.iterated = ["a", "b", "c"];
  const seen: string[] = [];
  const sink = (wanted: number) => ({
    separator: "",
    write: (bytes: Uint8Array) => seen.push(Buffer.from(bytes).toString()) < wanted,
  });
  await invoke("link/read", { linkId }, { sink: sink(9) });
  expect(seen.splice(0)).toEqual(["a", "b", "c"]);
  await invoke("link/read", { linkId }, { sink: sink(2) });
  expect(seen.splice(0)).toEqual(["a", "b"]);
  const signal = AbortSignal.abort();
  expect(await code(invoke("link/read", { linkId }, { sink: sink(9), signal }))).toBe("CANCELLED");
});

test("a map is for iterators over the entries of one", async () => {
  const programs = [{ type: "iter", name: "tasks", attachFunction: "task" }];
  const { programs: loaded } = await invoke("program/load", { source: { file: "/x.o" }, programs });
  const programId = loaded[0]?.record?.program_id as number;
  expect(await code(invoke("link/attach", { programId, attach: { kind: "iter", map: 500 } }))).toBe("INVALID_ATTACH");
  expect((await invoke("link/list", {})).links).toEqual([]);
});

test("only an iterator can be read", async () => {
  const programs = [{ type: "tcx", name: "count" }];
  const { programs: loaded } = await invoke("program/load", { source: { file: "/x.o" }, programs });
  const programId = loaded[0]?.record?.program_id as number;
  const attach = { kind: "tcx", iface: "eth0", direction: "ingress", priority: 1 } as const;
  const { record } = await invoke("link/attach", { programId, attach });
  expect(await code(invoke("link/read", { linkId: record.id }))).toBe("NOT_SUPPORTED");
  expect(await code(invoke("link/read", { linkId: 77 }))).toBe("LINK_NOT_FOUND");
});
