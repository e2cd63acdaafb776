import { afterEach, beforeEach, expect, test } from "bun:test";
import type { Runtime } from "../../../src/platform/runtime.ts";
import { createInvoke } from "../../../src/service/invoke.ts";
import { makeTestBed, type TestBed } from "../../fakes/fake-host.ts";
import { serviceObject } from "../../objects/service-object.ts";

let bed: TestBed;
beforeEach(() => {
  bed = makeTestBed();
  bed.files.contents.set("/x.o", serviceObject());
});
afterEach(() => bed.close());

const REQUEST = { source: { file: "/x.o" }, programs: [{ type: "tcx", name: "count", attachFunction: null }] };
const fail = (reason: string) => () => {
  throw new Error(reason);
};
const badLock = (): Runtime => ({
  ...bed.runtime,
  openLock: async () => ({ acquire: async () => ({ release: fail("the disk is gone") }) }),
});

test("what fails after a change is a warning, and the answer stays", async () => {
  const runtime: Runtime = {
    ...badLock(),
    openHost: async (mode, owner) => {
      const host = await bed.runtime.openHost(mode, owner);
      const close = () => {
        host.close();
        throw new Error("the file is gone");
      };
      return { ...host, close };
    },
  };
  const answer = await createInvoke(runtime)("program/load", REQUEST);
  expect(answer.programs).toHaveLength(1);
  expect(bed.logged).toEqual(["warn database not closed", "warn lock not released cleanly"]);
});

test("and the error stays that of the operation", async () => {
  const missing = createInvoke(badLock())("program/unload", { programId: 4711 });
  expect(await missing.catch((error) => error)).toMatchObject({ code: "PROGRAM_NOT_FOUND" });
  expect(bed.logged).toEqual(["warn lock not released cleanly"]);
});
