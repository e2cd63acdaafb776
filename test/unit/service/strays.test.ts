/** What no row names: bytecode and empty directories go with the next change, pins are told of and stay. */
import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { programId } from "../../../src/domain/ids.ts";
import type { Invoke } from "../../../src/service/invoke.ts";
import type { TestBed } from "../../fakes/fake-host.ts";
import { beforeEachServiceBed } from "../../fakes/service-bed.ts";

let bed: TestBed;
let invoke: Invoke;
beforeEachServiceBed((made, call) => {
  [bed, invoke] = [made, call];
});

const load = () =>
  invoke("program/load", { source: { file: "/x.o" }, programs: [{ type: "tracepoint", name: "on_openat" }] });
const anyChange = () => invoke("link/detach", { linkId: 4711, ignoreMissing: true });
const warnings = () => bed.logged.filter((line) => line.startsWith("warn pins that the database"));

function changeRows(sql: string): void {
  const database = new Database(bed.databasePath);
  database.run(sql);
  database.close();
}

test("bytecode without a row goes with the next change; that of programs stays", async () => {
  await load();
  const mine = bed.files.storedBytecode();
  bed.files.saveBytecode(bed.files.bytecodePath("0f".repeat(32)), new Uint8Array(1));
  await anyChange();
  expect(bed.files.storedBytecode()).toEqual(mine);
});

test("bytecode that a row of an earlier boot names stays", async () => {
  await load();
  const mine = bed.files.storedBytecode();
  changeRows("UPDATE programs SET boot_id = 'boot-0'; DELETE FROM links");
  bed.kernel.pins.clear();
  await anyChange();
  expect(bed.files.storedBytecode()).toEqual(mine);
});

test("pins without rows, and their bytecode, stay, and readers and writers tell of them", async () => {
  await load();
  await invoke("program/list", {});
  expect(warnings()).toEqual([]);
  changeRows("DELETE FROM links; DELETE FROM programs");
  const before = bed.traces();
  await invoke("program/list", {});
  expect(warnings()).toHaveLength(1);
  expect(warnings()[0]).toContain(bed.inspect((host) => host.pins.paths.program(programId(100))));
  await invoke("program/list", {});
  await invoke("link/list", {});
  expect(warnings()).toHaveLength(1);
  await anyChange();
  expect(warnings()).toHaveLength(2);
  expect(bed.traces()).toEqual(before);
});

test("empty directories of programs and revisions that no row names go", async () => {
  await load();
  bed.inspect((host) => {
    host.pins.makeDirectory(`${host.pins.paths.root}/maps/7`);
    host.pins.makeDirectory(`${host.pins.paths.root}/xdp/dispatcher_4026531840_2_3`);
    host.pins.makeDirectory(`${host.pins.paths.root}/tc-ingress/somebody`);
  });
  await anyChange();
  expect(bed.traces().directories.filter((directory) => !directory.endsWith("/100"))).toEqual([
    "/fake/fs/tc-ingress/somebody",
  ]);
});
