/** A load that takes the place of earlier ones of the same application. */
import { expect, test } from "bun:test";
import { createInvoke, type Invoke } from "../../../src/service/invoke.ts";
import type { TestBed } from "../../fakes/fake-host.ts";
import { beforeEachServiceBed } from "../../fakes/service-bed.ts";

let bed: TestBed;
let invoke: Invoke;
beforeEachServiceBed((made, call) => {
  [bed, invoke] = [made, call];
});

const load = async (uuid: string | null, more: object = {}): Promise<number[]> => {
  const { programs } = await invoke("program/load", {
    ...{ source: { file: "/x.o" }, metadata: uuid === null ? {} : { "bpfman.io/uuid": uuid } },
    programs: [
      { type: "tcx", name: "count" },
      { type: "tracepoint", name: "on_openat" },
    ],
    ...more,
  });
  return programs.map(({ record }) => record?.program_id as number);
};
const loaded = () => bed.inspect(({ store }) => store.programs().map(({ id }) => id as number));

test("unloads the older programs with the same uuid, with their links, and nothing else", async () => {
  const [other, none, old] = [await load("other"), await load(null), await load("app")];
  const attach = { kind: "tracepoint", tracepoint: "sched/sched_switch" };
  await invoke("link/attach", { programId: old[1], attach });
  await invoke("link/attach", { programId: other[1], attach });
  const now = await load("app", { supersede: true });
  expect(loaded()).toEqual([...other, ...none, ...now]);
  bed.inspect(({ store }) =>
    expect(store.links().map(({ programId }) => programId as number)).toEqual([other[1] ?? 0]),
  );
  // Without being told, a load leaves all as it is; so does one of nothing in particular.
  const again = await load("app");
  await load(null, { supersede: true });
  expect(loaded()).toEqual(expect.arrayContaining([...other, ...none, ...now, ...again]));
});

test("a load that fails unloads nothing, and one that cannot unload is still a load", async () => {
  const old = await load("app");
  const refused = load("app", { supersede: true, programs: [{ type: "tcx", name: "nope" }] });
  expect(await refused.catch(({ code }) => code)).toBe("FUNCTION_NOT_FOUND");
  expect(loaded()).toEqual(old);
  bed.faults.reset();
  // The first removal is what fails.
  const { openHost } = bed.runtime;
  const failing: Invoke = createInvoke({
    ...bed.runtime,
    openHost: async (...given) => {
      const host = await openHost(...given);
      const setProgramState = (id: never, state: "removing" | "ready" | "pending") => {
        if (state === "removing") throw new Error("no");
        host.store.setProgramState(id, state);
      };
      return { ...host, store: { ...host.store, transaction: host.store.transaction, setProgramState } };
    },
  });
  const before = invoke;
  invoke = failing;
  const now = await load("app", { supersede: true });
  invoke = before;
  expect(bed.logged.at(-1)).toBe("warn could not unload superseded programs");
  expect(loaded()).toEqual([...old, ...now]);
});
