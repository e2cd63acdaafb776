/** What completion answers of programs and links that are there. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { createInvoke, type Invoke } from "../../../src/service/invoke.ts";
import { makeTestBed, type TestBed } from "../../fakes/fake-host.ts";
import { compileBpf } from "../../objects/compile.ts";
import { serviceObject } from "../../objects/service-object.ts";

let bed: TestBed;
let invoke: Invoke;
let ids: readonly number[] = [];

beforeEach(async () => {
  bed = makeTestBed();
  bed.files.contents.set("/x.o", serviceObject());
  invoke = createInvoke(bed.runtime);
  const { programs } = await invoke("program/load", {
    source: { file: "/x.o" },
    programs: [
      { type: "tcx", name: "count" },
      { type: "kretprobe", name: "on_unlink", actualType: "kretprobe" },
    ],
    application: "web",
    metadata: { owner: "me", list: "a,b" },
  });
  ids = programs.map(({ record }) => record?.program_id as number);
});
afterEach(() => bed.close());

const offered = async (request: object): Promise<string[]> =>
  (await invoke("complete", { prefix: "", ...request })).values.map(({ value }) => value);

test("the programs of an object, as their types and names, or by their names alone", async () => {
  const programs = (prefix: string) => offered({ what: "object-program", file: "/x.o", prefix });
  expect(await programs("")).toContain("tcx:count_more");
  expect(await programs("")).not.toContain("all");
  expect(await programs("count")).toEqual(["count", "count_more"]);
  expect(await programs("socket_")).toEqual(["socket_filter:sock"]);
  expect(await programs("al")).toEqual(["all"]);
  const source = 'SEC("freplace/x") int part(void *c) { return 0; } SEC("tc") int whole(void *c) { return 0; }';
  bed.files.contents.set("/part.o", compileBpf(source));
  const parts = ids.map((id) => `freplace:part:${id}/x`);
  expect(await offered({ what: "object-program", file: "/part.o" })).toEqual([...parts, "tc:whole", "tcx:whole"]);
});

test("the kind of hook that fits a program", async () => {
  expect(await offered({ what: "attach-kind", programId: ids[0] })).toEqual(["tcx"]);
  expect(await offered({ what: "attach-kind", programId: ids[1] })).toEqual(["kprobe"]);
  expect(await offered({ what: "attach-kind", programId: 4711 })).toEqual([]);
  expect(await offered({ what: "attach-kind" })).toEqual([]);
});

test("the programs that fit a kind of hook", async () => {
  expect(await offered({ what: "program-id", attachKind: "kprobe" })).toEqual([String(ids[1])]);
  expect(await offered({ what: "program-id", attachKind: "kprobe", prefix: "o" })).toEqual(["on_unlink"]);
  expect(await offered({ what: "program-id", attachKind: "kprobe", prefix: "c" })).toEqual([]);
  expect(await offered({ what: "program-id", attachKind: "xdp" })).toEqual([]);
  expect(await offered({ what: "program-id" })).toEqual(ids.map(String));
  expect(await offered({ what: "program-id", prefix: "o" })).toEqual(["on_unlink"]);
  expect(await offered({ what: "program-id", prefix: "web/" })).toEqual(["web/count", "web/on_unlink"]);
  expect(await offered({ what: "attach-kind", programId: "on_unlink" })).toEqual(["kprobe"]);
});

test("applications and metadata of programs and links", async () => {
  const attach = { kind: "tcx", iface: "eth0", direction: "ingress", priority: 5 };
  await invoke("link/attach", { programId: ids[0], attach, metadata: { zone: "b" } });
  expect(await offered({ what: "application" })).toEqual(["web"]);
  expect(await offered({ what: "application", prefix: "x" })).toEqual([]);
  // A value with a comma cannot be typed as one pair.
  expect(await offered({ what: "metadata" })).toEqual(["bpfman_application=web", "owner=me", "zone=b"]);
  expect(await offered({ what: "metadata", prefix: "ow" })).toEqual(["owner=me"]);
});
