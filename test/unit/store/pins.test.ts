import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { kernelLinkId, linkId, mapId, programId } from "../../../src/domain/ids.ts";
import { linkPin, mapPin, programPin } from "../../../src/domain/pin.ts";
import { openWriter } from "../../../src/store/connection.ts";
import { SCHEMA } from "../../../src/store/migrate.ts";
import { openStore } from "../../../src/store/open-store.ts";
import { linkDraftOf, programRecordOf } from "../../fakes/records.ts";
import { temporaryDirectory } from "../../labs/temporary-directory.ts";

const directory = temporaryDirectory();
const path = () => directory.path("bpfman.db");
const open = (bootId = "boot-1") => openStore({ path: path(), mode: "write", bootId });

test("pins are remembered by their path, found with those below it, and forgotten; those of other boots are not seen", () => {
  const store = open();
  const dispatcher = programPin("/fs/xdp/d_1/dispatcher", programId(7));
  const member = linkPin("/fs/xdp/d_1/link_0", kernelLinkId(8));
  const beside = linkPin("/fs/xdp/d_10/link_0", kernelLinkId(9));
  const seat = linkPin("/fs/xdp/d_1_link", kernelLinkId(10));
  store.recordPins([seat, member, dispatcher, beside]);
  expect(store.recordedPins("/fs/xdp/d_1")).toEqual([dispatcher, member]);
  expect(store.recordedPins(seat.path)).toEqual([seat]);
  expect(store.recordedPins("/fs/xdp")).toEqual(
    [dispatcher, member, beside, seat].sort((a, b) => (a.path < b.path ? -1 : 1)),
  );
  store.recordPins([linkPin(seat.path, kernelLinkId(11))]);
  expect(store.recordedPins(seat.path)).toEqual([linkPin(seat.path, kernelLinkId(11))]);
  expect(open("boot-2").recordedPins("/fs")).toEqual([]);
  store.forgetPins("/fs/xdp/d_1");
  expect(store.recordedPins("/fs").map((pin) => pin.path)).toEqual([seat.path, beside.path].sort());
  store.close();
});

test("a map is found by its pin, in rows of any state, and is foreign if its row says so", () => {
  const store = open();
  const shared = "/fs/shared/named";
  expect(store.mapPinnedAt(shared)).toBeNull();
  store.insertProgram(programRecordOf(1, { maps: [{ id: mapId(5), name: "named", pinPath: shared }] }), "removing");
  expect(store.mapPinnedAt(shared)).toEqual({ id: mapId(5), foreign: false });
  const maps = [{ id: mapId(6), name: "other", pinPath: "/fs/shared/other", foreign: true }] as const;
  store.insertProgram(programRecordOf(2, { maps }), "ready");
  expect(store.mapPinnedAt("/fs/shared/other")).toEqual({ id: mapId(6), foreign: true });
  expect(store.program(programId(2))?.maps).toStrictEqual([...maps]);
  store.close();
});

test("a pending link says which one it is before it is ready", () => {
  const store = open();
  store.insertProgram(programRecordOf(1), "ready");
  const { id } = store.insertLink(linkDraftOf(1), () => "/fs/links/1");
  store.expectLink(id, kernelLinkId(77));
  expect(store.unsettledLinks()).toMatchObject([{ record: { id: linkId(1), kernelLinkId: 77 }, state: "pending" }]);
  expect(store.changes(0, 10).entries.map((entry) => entry.kind)).toEqual(["program/didLoad"]);
  store.close();
});

test("chains that ran before pins were recorded keep what they have", () => {
  const old = openWriter({
    path: path(),
    busyTimeoutMs: 0,
    schema: { version: 3, steps: () => SCHEMA.steps().slice(0, 3) },
  });
  const place = (position: number) =>
    JSON.stringify({
      kind: "xdp",
      interface: "eth0",
      ifindex: 2,
      netns: null,
      nsid: 40,
      priority: 50,
      position,
      proceedOn: [2],
    });
  old.run(
    `INSERT INTO dispatchers VALUES ('boot-1', 'xdp', 40, 2, 'eth0', NULL, 12, NULL, 900, 901, NULL, NULL, 'drv')`,
  );
  old.close();
  const rows = new Database(path());
  rows.run("PRAGMA foreign_keys = OFF");
  const insert = rows.query(`INSERT INTO links (boot_id, program_id, state, kernel_link_id, pin_path, details, metadata,
    created_at_ms) VALUES ('boot-1', 1, 'ready', ?, ?, ?, '{}', 0)`);
  for (const slot of [0, 1]) insert.run(910 + slot, `/fs/xdp/dispatcher_40_2_12/link_${slot}`, place(slot));
  rows.close();
  const store = open();
  expect(store.recordedPins("/fs")).toEqual([
    programPin("/fs/xdp/dispatcher_40_2_12/dispatcher", programId(900)),
    linkPin("/fs/xdp/dispatcher_40_2_12/link_0", kernelLinkId(910)),
    linkPin("/fs/xdp/dispatcher_40_2_12/link_1", kernelLinkId(911)),
    linkPin("/fs/xdp/dispatcher_40_2_link", kernelLinkId(901)),
  ]);
  store.close();
});

test("pins are of one kind and have an id", () => {
  const store = open();
  expect(() => store.recordPins([mapPin("/fs/x", mapId(0))])).toThrow("CHECK");
  store.close();
});
