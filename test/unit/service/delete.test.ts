/** Deleting an object together with whatever depends on it, and what each failure on the way leaves. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { ErrorCode } from "../../../src/errors/codes.ts";
import { BpfmanError } from "../../../src/errors/error.ts";
import { createInvoke, type Invoke } from "../../../src/service/invoke.ts";
import { compileBpf } from "../../objects/compile.ts";
import { makeTestBed, type TestBed } from "../../fakes/fake-host.ts";
import { serviceObject } from "../../objects/service-object.ts";

const CHAIN = ["a", "b", "c", "d"].map((name) => `SEC("xdp") int x_${name}(void *ctx) { return 2; }`).join("\n");
const XDP_KEY = { type: "xdp", nsid: 4026531840, ifindex: 2 };

interface Lab {
  readonly bed: TestBed;
  readonly invoke: Invoke;
}

function openLab(): Lab {
  const bed = makeTestBed();
  bed.kernel.ext = true;
  bed.files.contents.set("/x.o", serviceObject());
  bed.files.contents.set("/chain.o", compileBpf(CHAIN));
  return { bed, invoke: createInvoke(bed.runtime) };
}

async function load({ invoke }: Lab, file: string, ...programs: string[]): Promise<number[]> {
  const selectors = programs.map((text) => ({ type: text.split(":")[0], name: text.split(":")[1] }));
  const answer = await invoke("program/load", { source: { file }, programs: selectors });
  return answer.programs.map((program) => program.record?.program_id as number);
}

async function attach({ invoke }: Lab, programId: number, target: Record<string, unknown>): Promise<number> {
  return (await invoke("link/attach", { programId, attach: { iface: "eth0", priority: 50, ...target } })).record.id;
}
const attachTcx = (lab: Lab, program: number, direction = "ingress") =>
  attach(lab, program, { kind: "tcx", direction });

const failureOf = async (work: Promise<unknown>): Promise<BpfmanError> => {
  const found = await work.then(
    () => null,
    (cause: unknown) => cause,
  );
  expect(found).toBeInstanceOf(BpfmanError);
  return found as BpfmanError;
};
const expectCode = async (work: Promise<unknown>, code: ErrorCode): Promise<BpfmanError> => {
  const error = await failureOf(work);
  expect(error.code).toBe(code);
  return error;
};

const picture = ({ bed }: Lab) =>
  bed.inspect((host) => ({
    programs: host.store.programs().map((program) => program.id as number),
    links: host.store.links().map((link) => link.id as number),
    dispatchers: host.store.dispatchers().length,
    unsettled: host.store.unsettledPrograms().length + host.store.unsettledLinks().length,
  }));
const NOTHING = { programs: [], links: [], dispatchers: 0, unsettled: 0 };

function expectNoTrace({ bed }: Lab): void {
  const { kernel, directories, bytecode } = bed.traces();
  expect({ pins: kernel.pins, programs: kernel.programs, links: kernel.links, directories, bytecode }).toEqual({
    pins: [],
    programs: [],
    links: [],
    directories: [],
    bytecode: [],
  });
}

let lab: Lab;
beforeEach(() => {
  lab = openLab();
});
afterEach(() => lab.bed.close());

describe("program/delete", () => {
  test("detaches, then unloads", async () => {
    const [id = 0] = await load(lab, "/x.o", "tcx:count");
    const links = [await attachTcx(lab, id), await attachTcx(lab, id, "egress")];
    expect(await lab.invoke("program/delete", { programId: id })).toEqual({ deleted: [id], detached: links });
    expect(picture(lab)).toEqual(NOTHING);
    expectNoTrace(lab);
  });

  test("of an owner leaves its maps to those that use them; with recursive these go before it", async () => {
    const [owner = 0, user = 0, third = 0] = await load(
      lab,
      "/x.o",
      "tcx:count",
      "tracepoint:on_openat",
      "tcx:count_more",
    );
    const link = await attachTcx(lab, owner);
    expect(await lab.invoke("program/delete", { programId: owner })).toEqual({ deleted: [owner], detached: [link] });
    expect(picture(lab)).toMatchObject({ programs: [user, third], links: [], unsettled: 0 });
    for (const id of [user, third]) {
      const { maps, map_used_by } = (await lab.invoke("program/get", { programId: id })).status;
      const pinned = maps.filter((map) => map.pin_path !== "");
      expect([map_used_by, pinned.length, pinned.every((map) => map.present)]).toEqual([[user, third], 2, true]);
    }
    await lab.invoke("program/delete", { programId: user });
    await lab.invoke("program/delete", { programId: third });
    expectNoTrace(lab);

    const [second = 0, other = 0] = await load(lab, "/x.o", "tcx:count", "tracepoint:on_openat");
    expect(await lab.invoke("program/delete", { programId: second, recursive: true })).toEqual({
      deleted: [other, second],
      detached: [],
    });
    expectNoTrace(lab);
  });

  test("of all leaves nothing, users of maps first", async () => {
    const [owner = 0, user = 0] = await load(lab, "/x.o", "tcx:count", "tracepoint:on_openat");
    const [other = 0] = await load(lab, "/x.o", "tcx:count");
    const link = await attachTcx(lab, other);
    expect(await lab.invoke("program/delete", { all: true })).toEqual({
      deleted: [user, owner, other],
      detached: [link],
    });
    expect(await lab.invoke("program/delete", { all: true })).toEqual({ deleted: [], detached: [] });
    expectNoTrace(lab);
  });

  test("that the verifier stops says what went before it, and keeps the verifier's log", async () => {
    const ids = await load(lab, "/chain.o", "xdp:x_a", "xdp:x_b", "xdp:x_c", "xdp:x_d");
    const links: number[] = [];
    for (const id of ids) links.push(await attach(lab, id, { kind: "xdp" }));
    const { kernel } = lab.bed;
    const make = kernel.loadDispatcher.bind(kernel);
    let made = 0;
    kernel.loadDispatcher = (dispatcher) => {
      made += 1;
      if (made === 1) return make(dispatcher);
      const sys = { call: "bpf(BPF_PROG_LOAD)", errno: 13, name: "EACCES" };
      throw new BpfmanError("VERIFIER_REJECTED", "load dispatcher", { verifierLog: "R0 !read_ok", sys });
    };
    const error = await expectCode(lab.invoke("program/delete", { all: true }), "VERIFIER_REJECTED");
    expect(error.details).toMatchObject({ deleted: [ids[1]], detached: [links[1]] });
    expect([error.verifierLog, error.sys?.name]).toEqual(["R0 !read_ok", "EACCES"]);
  });

  test("wants one id, or all", async () => {
    await expectCode(lab.invoke("program/delete", {}), "INVALID_REQUEST");
    await expectCode(lab.invoke("program/delete", { programId: 1, all: true }), "INVALID_REQUEST");
    await expectCode(lab.invoke("program/delete", { programId: 4711 }), "PROGRAM_NOT_FOUND");
  });
});

describe("link/delete", () => {
  test("takes the program along with its last link, not before", async () => {
    const [id = 0] = await load(lab, "/x.o", "tcx:count");
    const [first, second] = [await attachTcx(lab, id), await attachTcx(lab, id, "egress")];
    expect(await lab.invoke("link/delete", { linkId: first })).toEqual({ deleted: [], detached: [first] });
    expect(picture(lab)).toMatchObject({ programs: [id], links: [second] });
    expect(await lab.invoke("link/delete", { linkId: second })).toEqual({ deleted: [id], detached: [second] });
    expectNoTrace(lab);
    await expectCode(lab.invoke("link/delete", { linkId: second }), "LINK_NOT_FOUND");
  });

  test("takes those that use the program's maps along with recursive only", async () => {
    const [owner = 0, user = 0] = await load(lab, "/x.o", "tcx:count", "tracepoint:on_openat");
    const link = await attachTcx(lab, owner);
    expect(await lab.invoke("link/delete", { linkId: link })).toEqual({ deleted: [owner], detached: [link] });
    expect(picture(lab)).toMatchObject({ programs: [user], links: [] });
    const [second = 0, other = 0] = await load(lab, "/x.o", "tcx:count", "tracepoint:on_openat");
    const last = await attachTcx(lab, second);
    expect(await lab.invoke("link/delete", { linkId: last, recursive: true })).toEqual({
      deleted: [other, second],
      detached: [last],
    });
  });
});

describe("dispatcher/delete", () => {
  test("clears the hook and leaves the programs loaded", async () => {
    const ids = await load(lab, "/chain.o", "xdp:x_a", "xdp:x_b");
    const links = [
      await attach(lab, ids[0] as number, { kind: "xdp" }),
      await attach(lab, ids[1] as number, { kind: "xdp" }),
    ];
    const { detached, key } = await lab.invoke("dispatcher/delete", XDP_KEY);
    expect([[...detached].sort(), key]).toEqual([links, XDP_KEY as typeof key]);
    expect(picture(lab)).toEqual({ programs: ids, links: [], dispatchers: 0, unsettled: 0 });
    expect(lab.bed.kernel.xdpHolder({ netns: null, ifindex: 2 })).toBeNull();
    await expectCode(lab.invoke("dispatcher/delete", XDP_KEY), "DISPATCHER_NOT_FOUND");
  });
});

interface Scenario {
  readonly name: string;
  prepare(on: Lab): Promise<void>;
  act(on: Lab): Promise<unknown>;
  readonly stepsMin: number;
}

const SCENARIOS: readonly Scenario[] = [
  {
    name: "program/delete, recursive",
    prepare: async (on) => {
      const [owner = 0, user = 0] = await load(on, "/x.o", "tcx:count", "tcx:count_more");
      await attachTcx(on, owner);
      await attachTcx(on, user);
    },
    act: ({ invoke }) => invoke("program/delete", { programId: 100, recursive: true }),
    stepsMin: 16,
  },
  {
    name: "link/delete of the last link",
    prepare: async (on) => void (await attachTcx(on, (await load(on, "/x.o", "tcx:count"))[0] as number)),
    act: ({ invoke }) => invoke("link/delete", { linkId: 1 }),
    stepsMin: 8,
  },
  {
    name: "dispatcher/delete",
    prepare: async (on) => {
      for (const id of await load(on, "/chain.o", "xdp:x_a", "xdp:x_b", "xdp:x_c")) {
        await attach(on, id, { kind: "xdp" });
      }
    },
    act: ({ invoke }) => invoke("dispatcher/delete", XDP_KEY),
    stepsMin: 8,
  },
];

describe.each(SCENARIOS)("$name", (scenario) => {
  async function prepared(): Promise<Lab> {
    const on = openLab();
    await scenario.prepare(on);
    on.bed.faults.reset();
    return on;
  }
  async function countSteps(): Promise<number> {
    const on = await prepared();
    await scenario.act(on);
    const steps = on.bed.faults.calls.length;
    on.bed.close();
    expect(steps).toBeGreaterThanOrEqual(scenario.stepsMin);
    return steps;
  }
  /** Any change makes the next command finish what is left. */
  const nextCommand = ({ invoke }: Lab) => invoke("link/detach", { linkId: 4711, ignoreMissing: true });

  test.each(["failAt", "dieAt"] as const)(
    "%s each step: nothing stays half done, and a second try ends it",
    async (how) => {
      const steps = await countSteps();
      for (let step = 1; step <= steps; step++) {
        const on = await prepared();
        const before = picture(on);
        on.bed.faults[how] = step;
        const outcome = (await scenario.act(on).then(
          () => null,
          (cause: unknown) => cause,
        )) as BpfmanError | null;
        on.bed.kernel.closeAll();
        on.bed.faults.reset();
        // A failure says what had gone before it.
        if (outcome?.details.deleted !== undefined) {
          const there = picture(on);
          for (const id of outcome.details.deleted as number[]) expect(there.programs).not.toContain(id);
          for (const id of outcome.details.detached as number[]) expect(there.links).not.toContain(id);
        }
        await nextCommand(on);
        const after = picture(on);
        expect(after.unsettled).toBe(0);
        for (const id of after.programs) expect(before.programs).toContain(id);
        // Whatever is left can be deleted.
        if (after.dispatchers > 0) await on.invoke("dispatcher/delete", XDP_KEY);
        await on.invoke("program/delete", { all: true });
        expect(picture(on)).toEqual(NOTHING);
        expectNoTrace(on);
        on.bed.close();
      }
    },
  );
});
