/** Lists say what is wrong with a pin. */
import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import type { Invoke } from "../../../src/service/invoke.ts";
import type { TestBed } from "../../fakes/fake-host.ts";
import { beforeEachServiceBed } from "../../fakes/service-bed.ts";

let bed: TestBed;
let invoke: Invoke;
beforeEachServiceBed((made, call) => {
  [bed, invoke] = [made, call];
});

/** Exchanges what is behind pins, long after they were made. */
function tamper(work: (pins: TestBed["kernel"]["pins"]) => void): void {
  work(bed.kernel.pins);
  const database = new Database(bed.databasePath);
  database.run("UPDATE programs SET created_at_ms = 0; UPDATE links SET created_at_ms = 0");
  database.close();
}

/** Takes the pin away from bpfman, and keeps what is behind it in the kernel. */
function move(pins: TestBed["kernel"]["pins"], path: string): void {
  pins.set(`/elsewhere${path}`, pins.get(path) as never);
  pins.delete(path);
}

async function loadFour(): Promise<number[]> {
  const programs = [
    ...["count", "count_more"].map((name) => ({ type: "tcx", name })),
    { type: "tracepoint", name: "on_openat" },
    { type: "kprobe", name: "on_unlink" },
  ];
  const loaded = await invoke("program/load", { source: { file: "/x.o" }, programs });
  return loaded.programs.map(({ record }) => record?.program_id ?? 0);
}

test("of programs", async () => {
  const [a = 0, b = 0, c = 0, d = 0] = await loadFour();
  const states = async (view: "summary" | "full") =>
    (await invoke("program/list", { view })).programs.map(({ program_id, state }) => [program_id, state]);
  expect(await states("full")).toEqual([a, b, c, d].map((id) => [id, null]));
  const pin = (id: number): string => `/fake/fs/prog_${id}`;
  tamper((pins) => {
    pins.set(pin(b), pins.get(pin(a)) as never);
    move(pins, pin(c));
  });
  bed.inspect((host) => host.pins.remove(pin(d)));
  for (const view of ["summary", "full"] as const) {
    expect(await states(view)).toEqual([
      [a, null],
      [b, "foreign"],
      [c, "unpinned"],
      [d, "gone"],
    ]);
  }
});

test("of links", async () => {
  const [, , programId = 0] = await loadFour();
  bed.kernel.knownTracepoints = ["a", "b", "c", "d"].map((name) => `sched/${name}`);
  for (const name of ["a", "b", "c", "d"]) {
    await invoke("link/attach", { programId, attach: { kind: "tracepoint", tracepoint: `sched/${name}` } });
  }
  const states = async () => (await invoke("link/list", {})).links.map(({ state }) => state);
  expect(await states()).toEqual([null, null, null, null]);
  tamper((pins) => {
    pins.set("/fake/fs/links/2", pins.get("/fake/fs/links/1") as never);
    move(pins, "/fake/fs/links/3");
  });
  bed.inspect((host) => host.pins.remove("/fake/fs/links/4"));
  expect(await states()).toEqual([null, "foreign", "unpinned", "gone"]);
});
