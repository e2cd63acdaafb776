/** Programs, and links by their programs, are found by name where exactly one fits. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { createInvoke, type Invoke } from "../../../src/service/invoke.ts";
import { failureOfAsync } from "../../expect/failure.ts";
import { makeTestBed, type TestBed } from "../../fakes/fake-host.ts";
import { serviceObject } from "../../objects/service-object.ts";

let bed: TestBed;
let invoke: Invoke;
/** Two programs of one name in two applications; another one without an application. */
let [web, shop, probe] = [0, 0, 0];

async function load(name: string, type: string, application: string | null): Promise<number> {
  const request = { source: { file: "/x.o" }, programs: [{ type, name, attachFunction: null }], application };
  return (await invoke("program/load", request)).programs[0]?.record?.program_id ?? 0;
}
const attach = async (programId: number | string, priority = 50): Promise<number> => {
  const place = { kind: "tcx", iface: "eth0", direction: priority === 50 ? "ingress" : "egress", priority };
  return (await invoke("link/attach", { programId, attach: place })).record.id;
};

beforeEach(async () => {
  bed = makeTestBed();
  bed.files.contents.set("/x.o", serviceObject());
  invoke = createInvoke(bed.runtime);
  web = await load("count", "tcx", "web");
  shop = await load("count", "tcx", "shop");
  probe = await load("on_unlink", "kprobe", null);
});
afterEach(() => bed.close());

const idOf = async (programId: number | string) => (await invoke("program/get", { programId })).record?.program_id;
const loaded = async () => (await invoke("program/list", {})).programs.map(({ program_id }) => program_id);

test("a name is enough where one program has it, and an application distinguishes", async () => {
  expect(await idOf("on_unlink")).toBe(probe);
  expect([await idOf("web/count"), await idOf("shop/count")]).toEqual([web, shop]);
  const several = await failureOfAsync(() => idOf("count"));
  expect(several).toMatchObject({ code: "PROGRAM_AMBIGUOUS", details: { named: "count", program_ids: [web, shop] } });
  expect(several.message).toBe(`"count" fits 2 programs: ${web} (tcx, web), ${shop} (tcx, shop)`);
  expect(several.hint).toBe("name one by its id, or as APPLICATION/NAME");
  await load("count", "tcx", "web");
  expect((await failureOfAsync(() => idOf("web/count"))).hint).toBe("name one by its id");
});

test("what is not there is told with what there is", async () => {
  const near = await failureOfAsync(() => idOf("on_unlnk"));
  expect([near.code, near.message]).toEqual(["PROGRAM_NOT_FOUND", 'no program is named "on_unlnk"']);
  expect(near.hint).toBe('did you mean "on_unlink"? there are: count, on_unlink; see "bpfman list programs"');
  expect((await failureOfAsync(() => idOf("shp/count"))).hint).toStartWith('did you mean "shop/count"?');
  // Without an application.
  for (const programId of [web, shop]) await invoke("program/unload", { programId });
  expect((await failureOfAsync(() => idOf("web/count"))).hint).toContain("there are: on_unlink;");
  expect((await failureOfAsync(() => idOf("web/on_unlink"))).code).toBe("PROGRAM_NOT_FOUND");
});

test("a number is an id, whatever is called so", async () => {
  expect(await idOf(String(web))).toBe(web);
  for (const digits of ["0", "4711", "99999999999"])
    expect((await failureOfAsync(() => idOf(digits))).code).toBe("PROGRAM_NOT_FOUND");
  expect((await failureOfAsync(() => idOf(""))).code).toBe("INVALID_REQUEST");
});

test("a link is found by its program where that has one link", async () => {
  const first = await attach("web/count");
  const get = async (linkId: number | string) => (await invoke("link/get", { linkId })).record.id;
  expect([await get("count"), await get("web/count"), await get(String(first))]).toEqual([first, first, first]);
  const none = await failureOfAsync(() => get("on_unlink"));
  expect([none.code, none.message]).toEqual(["LINK_NOT_FOUND", 'no program named "on_unlink" has a link']);
  const second = await attach("shop/count", 60);
  const several = await failureOfAsync(() => get("count"));
  expect(several.message).toBe(`"count" fits 2 links: ${first} (tcx eth0 ingress), ${second} (tcx eth0 egress)`);
  expect(several).toMatchObject({ code: "LINK_AMBIGUOUS", details: { link_ids: [first, second] } });
  expect(await invoke("link/detach", { linkId: "shop/count" })).toEqual({ link_id: second, detached: true });
  expect((await invoke("link/list", { programId: "web/count" })).links.map(({ id }) => id)).toEqual([first]);
});

test("names unload, delete and share maps, and the history knows which it was", async () => {
  const mapOwnerId = "web/count";
  const programs = [{ type: "tcx", name: "count_more", attachFunction: null }];
  const { programs: sharing } = await invoke("program/load", { source: { file: "/x.o" }, programs, mapOwnerId });
  expect(sharing[0]?.record?.handles.map_owner_id).toBe(web);
  await invoke("program/unload", { programId: "count_more" });
  await failureOfAsync(() => invoke("program/unload", { programId: "count" }));
  await invoke("program/delete", { programId: "shop/count" });
  expect(await invoke("program/unload", { programId: "web/count" })).toMatchObject({ program_id: web });
  expect(await loaded()).toEqual([probe]);
  const { operations } = await invoke("history/list", {});
  expect(operations.slice(-4).map(({ programs: ids, place }) => [ids, place])).toEqual([
    [[sharing[0]?.record?.program_id ?? 0], null],
    [[], "program count"],
    [[shop], null],
    [[web], null],
  ]);
});

test("a name that is missing can be ignored, one that fits several cannot", async () => {
  const request = { programId: "gone", ignoreMissing: true };
  expect(await invoke("program/unload", request)).toEqual({ program_id: null, detached: [], unloaded: false });
  expect(await invoke("link/detach", { linkId: "gone", ignoreMissing: true })).toEqual({
    link_id: null,
    detached: false,
  });
  const several = await failureOfAsync(() => invoke("program/unload", { ...request, programId: "count" }));
  expect(several.code).toBe("PROGRAM_AMBIGUOUS");
  expect(await loaded()).toHaveLength(3);
});
