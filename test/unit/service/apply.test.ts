/** Documents are applied: what is different is changed, all of an application or nothing, and a second time nothing. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { ApplyAnswer } from "../../../src/domain/answer.ts";
import { BpfmanError } from "../../../src/errors/error.ts";
import { createInvoke, type Invoke } from "../../../src/service/invoke.ts";
import { makeTestBed, type TestBed } from "../../fakes/fake-host.ts";
import { expectNoWorries } from "../../expect/no-worries.ts";
import { compileBpf } from "../../objects/compile.ts";
import { SERVICE_OBJECT, serviceObject } from "../../objects/service-object.ts";

let bed: TestBed;
let invoke: Invoke;

const OTHER_OBJECT = `${SERVICE_OBJECT} SEC("tc") int one_more(void *ctx) { return 3; }`;

function fresh(): void {
  bed = makeTestBed();
  bed.kernel.ext = true;
  bed.files.contents.set("/d/x.o", serviceObject());
  invoke = createInvoke(bed.runtime);
}
beforeEach(fresh);
afterEach(() => bed.close());

const write = (text: string, path = "/d/state.yaml"): void => {
  bed.files.contents.set(path, new TextEncoder().encode(text));
};
const apply = (more: Record<string, unknown> = {}, file = "/d/state.yaml"): Promise<ApplyAnswer> =>
  invoke("apply", { documents: [{ file }], ...more });

/** The changes in brief: `attach count tcx eth0 ingress`. */
const brief = ({ applications }: ApplyAnswer): string[] =>
  applications.flatMap(({ changes }) =>
    changes.map(({ action, program, place, differences }) =>
      [action, program, place, ...differences.map(({ what, from, to }) => `${what} ${from}->${to}`)]
        .filter((word) => word !== null)
        .join(" "),
    ),
  );
const unchanged = (answer: ApplyAnswer): boolean => brief(answer).every((line) => line.startsWith("unchanged "));

const COUNTER = `
applications:
  counter:
    metadata: { team: net }
    objects:
      - path: x.o
        globals: { LIMIT: 7 }
        programs:
          - name: count
            type: tcx
            attach:
              - { kind: tcx, iface: eth0, direction: ingress, priority: 50 }
          - name: filter
            attach:
              - { kind: xdp, iface: eth0, priority: 20 }
          - name: on_openat
            attach:
              - { kind: tracepoint, tracepoint: syscalls/sys_enter_openat, metadata: { why: files } }
`;

/** What there is, without the numbers that a second load would give. */
const picture = () =>
  bed.inspect((host) => {
    const programs = host.store.programs();
    const nameOf = new Map(programs.map(({ id, name }) => [id, name]));
    return {
      programs: programs.map(({ name, metadata, globals, bytecodeDigest }) => ({
        ...{ name, metadata, bytecodeDigest },
        globals: Object.entries(globals).map(([global, bytes]) => [global, bytes.toHex()]),
      })),
      links: host.store
        .links()
        .map(({ programId, details, metadata }) => JSON.stringify([nameOf.get(programId), details, metadata]))
        .sort(),
    };
  });

describe("an apply", () => {
  test("loads and attaches, and the second time changes nothing", async () => {
    write(COUNTER);
    const first = await apply();
    expect(brief(first)).toEqual([
      "load count",
      "load filter",
      "load on_openat",
      "attach count tcx eth0 ingress",
      "attach filter xdp eth0",
      "attach on_openat tracepoint syscalls/sys_enter_openat",
    ]);
    const { programs } = await invoke("program/list", {});
    expect(programs.map(({ function_name, application }) => [function_name, application])).toEqual([
      ["count", "counter"],
      ["filter", "counter"],
      ["on_openat", "counter"],
    ]);
    const { links } = await invoke("link/list", {});
    expect(links.map(({ metadata }) => metadata)).toContainEqual({ bpfman_application: "counter", why: "files" });
    const before = bed.traces();
    const second = await apply();
    expect(unchanged(second)).toBe(true);
    expect(second.applications[0]?.changes).toHaveLength(6);
    expect(bed.traces()).toEqual(before);
  });

  test("with dryRun says the same, and changes nothing", async () => {
    write(COUNTER);
    const planned = await apply({ dryRun: true });
    expect((await invoke("program/list", {})).programs).toEqual([]);
    expect(brief(planned)).toEqual(brief(await apply()));
  });

  test("finds what was made by hand, and leaves what no document names", async () => {
    const { programs } = await invoke("program/load", {
      ...{ source: { file: "/d/x.o" }, application: "counter", metadata: { team: "net" }, globals: { LIMIT: 7 } },
      programs: [{ type: "tcx", name: "count" }, { name: "filter" }, { name: "on_openat" }],
    });
    const id = programs[0]?.record?.program_id as number;
    const tcx = { kind: "tcx", iface: "eth0", priority: 50 } as const;
    await invoke("link/attach", { programId: id, attach: { ...tcx, direction: "ingress" } });
    await invoke("link/attach", { programId: id, attach: { ...tcx, direction: "egress" } });
    write(COUNTER);
    expect(brief(await apply())).toEqual([
      "unchanged count",
      "unchanged filter",
      "unchanged on_openat",
      "unchanged count tcx eth0 ingress",
      "attach filter xdp eth0",
      "attach on_openat tracepoint syscalls/sys_enter_openat",
    ]);
    write("# nothing\n");
    expect(brief(await apply({ prune: true }))).toEqual([]);
    // The links were made by the apply, the programs were not: nothing names the program, so it stays with its links.
    expect((await invoke("program/list", {})).programs).toHaveLength(3);
  });

  test("changes priorities and metadata in place, and moves attachments", async () => {
    write(COUNTER);
    await apply();
    const xdp = (await invoke("link/list", { kinds: ["xdp"] })).links[0]?.link_id as number;
    write(
      COUNTER.replace("priority: 20", "priority: 10, proceedOn: [drop]")
        .replace("priority: 50", "priority: 60")
        .replace("team: net", "team: security")
        .replace("sys_enter_openat,", "sys_enter_open,"),
    );
    bed.kernel.knownTracepoints.push("syscalls/sys_enter_open");
    const answer = await apply();
    expect(brief(answer)).toEqual([
      "unchanged count",
      "unchanged filter",
      "unchanged on_openat",
      "label count metadata team net->security",
      "label filter metadata team net->security",
      "label on_openat metadata team net->security",
      "move count tcx eth0 ingress priority 50->60",
      "update filter xdp eth0 priority 20->10 proceed-on pass,dispatcher_return->drop",
      "attach on_openat tracepoint syscalls/sys_enter_open",
      "detach on_openat tracepoint syscalls/sys_enter_openat",
    ]);
    const { links } = await invoke("link/list", { kinds: ["xdp"] });
    expect(links[0]).toMatchObject({ link_id: xdp, details: { priority: 10 } });
    expect((await invoke("program/get", { programId: "count" })).record?.meta.metadata).toEqual({
      ...{ team: "security", bpfman_application: "counter" },
    });
    expect(unchanged(await apply())).toBe(true);
  });

  test("takes other bytecode and globals under the links that are there", async () => {
    write(COUNTER);
    await apply();
    bed.files.contents.set("/d/x.o", compileBpf(OTHER_OBJECT));
    const answer = await apply();
    expect(brief(answer)[0]).toMatch(/^re(load|place) count bytecode [0-9a-f]{12}->[0-9a-f]{12}$/);
    expect(unchanged(await apply())).toBe(true);
    const places = async () =>
      (await invoke("link/list", {})).links.map(({ kind, metadata }) => [kind, metadata]).sort();
    expect(await places()).toHaveLength(3);
    write(COUNTER.replace("LIMIT: 7", "LIMIT: 8"));
    expect(brief(await apply())[0]).toContain("global LIMIT 07000000->08000000");
    expect(await places()).toHaveLength(3);
    expect((await invoke("program/list", {})).programs).toHaveLength(3);
  });

  test("prunes what an earlier apply of the same documents made and none names any more", async () => {
    write(COUNTER);
    write(COUNTER.replaceAll("counter", "other").replaceAll("eth0", "eth1"), "/d/other.yaml");
    await apply();
    await apply({}, "/d/other.yaml");
    await invoke("program/load", {
      source: { file: "/d/x.o" },
      application: "counter",
      programs: [{ name: "count_more" }],
    });
    write("applications: { counter: { objects: [{ path: x.o, programs: [{ name: filter }] }] } }");
    expect(brief(await apply()).filter((line) => line.startsWith("unload"))).toEqual([]);
    expect(
      brief(await apply({ prune: true }))
        .filter((line) => line.startsWith("unload"))
        .sort(),
    ).toEqual(["unload count", "unload on_openat"]);
    const { programs } = await invoke("program/list", {});
    expect(programs.map((each) => `${each.application}/${each.function_name}`).sort()).toEqual([
      ...["counter/count_more", "counter/filter", "other/count", "other/filter", "other/on_openat"],
    ]);
  });

  test("shares maps in the order that it takes, whatever the order in the document", async () => {
    write(`
applications:
  user:
    objects:
      - { path: x.o, mapOwner: counter/count, mapEntries: { counters: 9 }, programs: [{ name: count_more, type: tcx }] }
  counter:
    objects:
      - { path: x.o, mapEntries: { counters: 9 }, programs: [{ name: count, type: tcx }] }
`);
    const answer = await apply();
    expect(answer.applications.map(({ application }) => application)).toEqual(["counter", "user"]);
    const { record, status } = await invoke("program/get", { programId: "count_more" });
    const owner = await invoke("program/get", { programId: "count" });
    expect(record?.handles.map_owner_id).toBe(owner.record?.program_id as number);
    const counters = status.maps.find(({ name }) => name === "counters");
    expect(counters?.id).toBe(owner.status.maps.find(({ name }) => name === "counters")?.id as number);
    expect(unchanged(await apply())).toBe(true);
  });

  test("attaches to each interface that a pattern matches, and lets go of those that went", async () => {
    bed.network.namespaces.set("", ["lo", "eth0", "eth1", "wlan0"]);
    bed.network.namespaces.set("/run/netns/a", ["lo", "eth0"]);
    bed.network.driverNames.set("wlan0", "iwlwifi");
    write(`
objects:
  - path: x.o
    programs:
      - name: count
        type: tcx
        attach:
          - { kind: tcx, iface: "eth*", direction: ingress, priority: 50 }
          - { kind: tcx, iface: driver=iwl*, direction: ingress, priority: 50 }
          - { kind: tcx, iface: eth0, netns: "/run/netns/*", direction: egress, priority: 50 }
`);
    const answer = await apply();
    expect(brief(answer)).toEqual([
      "load count",
      "attach count tcx eth0 ingress",
      "attach count tcx eth1 ingress",
      "attach count tcx wlan0 ingress",
      "attach count tcx eth0 egress",
    ]);
    expect(answer).toMatchObject({ watched: [null, "/run/netns/a"], watches_namespaces: true });
    bed.network.namespaces.set("", ["lo", "eth0", "", "wlan0", "eth9"]);
    expect(brief(await apply()).filter((line) => !line.startsWith("unchanged"))).toEqual([
      "detach count tcx eth1 ingress",
      "attach count tcx eth9 ingress",
    ]);
    expect(unchanged(await apply())).toBe(true);
  });

  test("gives new programs to the links that are left, when interfaces have gone", async () => {
    bed.network.namespaces.set("", ["lo", "eth0", "eth1"]);
    const text = `
objects:
  - path: x.o
    globals: { LIMIT: 7 }
    programs:
      - { name: count, type: tcx, attach: [{ kind: tcx, iface: "eth*", direction: ingress, priority: 50 }] }
      - { name: filter, attach: [{ kind: xdp, iface: "eth*", priority: 20 }] }
`;
    write(text);
    await apply();
    bed.network.namespaces.set("", ["lo", "eth0"]);
    bed.kernel.goneInterfaces.add(3);
    write(text.replace("LIMIT: 7", "LIMIT: 8"));
    expect(brief(await apply()).filter((line) => !line.startsWith("unchanged"))).toEqual([
      "replace count global LIMIT 07000000->08000000",
      "replace filter global LIMIT 07000000->08000000",
      "detach count tcx eth1 ingress",
      "detach filter xdp eth1",
    ]);
    expect((await invoke("link/list", {})).links.map(({ details }) => details)).toMatchObject([
      { interface: "eth0" },
      { interface: "eth0" },
    ]);
    expect(unchanged(await apply())).toBe(true);
  });

  test("that fails gives a link back its id, if it was taken off to be moved", async () => {
    write(COUNTER);
    await apply();
    const ids = async () => (await invoke("link/list", {})).links.map(({ link_id: id }) => id);
    const before = await ids();
    const real = bed.kernel.attach.bind(bed.kernel);
    let failures = 1;
    bed.kernel.attach = (pin, to) => {
      if (to.kind === "tcx" && failures-- > 0) throw new BpfmanError("IO_FAILED", "no");
      return real(pin, to);
    };
    write(COUNTER.replace("priority: 50", "priority: 60"));
    expect(((await apply().catch((thrown: unknown) => thrown)) as BpfmanError).message).toContain("no");
    expect(await ids()).toEqual(before);
  });

  test("leaves a program alone whose functions others replace, and says so", async () => {
    const source = `const volatile unsigned LIMIT = 5;
      SEC("xdp") int whole(void *ctx) { return LIMIT ? 2 : 1; }
      SEC("freplace/decide") int part(void *ctx) { return 1; }`;
    bed.files.contents.set("/d/x.o", compileBpf(source));
    const text = "objects: [{ path: x.o, globals: { LIMIT: 7 }, programs: [{ name: whole }] }]";
    write(text);
    await apply();
    await invoke("program/load", {
      source: { file: "/d/x.o" },
      programs: [{ type: "freplace", name: "part", attachFunction: "whole/decide" }],
    });
    const before = picture();
    const refused = async (more: Record<string, unknown> = {}) =>
      ((await apply(more).catch((thrown: unknown) => thrown)) as BpfmanError).code;
    write(text.replace("LIMIT: 7", "LIMIT: 8"));
    expect(await refused({ dryRun: true })).toBe("PROGRAM_IN_USE");
    expect(await refused()).toBe("PROGRAM_IN_USE");
    write("objects: []");
    expect(await refused({ prune: true })).toBe("PROGRAM_IN_USE");
    expect(picture()).toEqual(before);
  });

  test("waits for an interface that is named only if that is asked for", async () => {
    write(COUNTER.replace("iface: eth0, direction", "iface: eth7, direction"));
    const failed = await apply().catch((thrown: unknown) => thrown);
    expect((failed as BpfmanError).message).toContain('"/d/state.yaml", line 12, column 17: no interface "eth7"');
    expect((await invoke("program/list", {})).programs).toEqual([]);
    expect(brief(await apply({ awaitInterfaces: true }))).not.toContain("attach count tcx eth7 ingress");
    bed.network.namespaces.get("")?.push("eth7");
    expect(brief(await apply({ awaitInterfaces: true }))).toContain("attach count tcx eth7 ingress");
  });

  test("takes members out of a chain, and leaves the others in their order", async () => {
    const members = (attached: readonly string[]) => {
      const attach = (name: string, at: number) =>
        attached.includes(name) ? [{ kind: "tc", iface: "eth0", direction: "ingress", priority: 10 + at }] : [];
      const programs = ["a", "b", "c"].map((name, at) => ({ name, type: "tc", attach: attach(name, at) }));
      write(JSON.stringify({ applications: { chain: { objects: [{ path: "c.o", programs }] } } }));
    };
    const one = (name: string) => `SEC("tc") int ${name}(void *ctx) { return 0; }`;
    bed.files.contents.set("/d/c.o", compileBpf(["a", "b", "c"].map(one).join("\n")));
    const chain = async () => {
      const { programs } = await invoke("program/list", {});
      const nameOf = (id: number) => programs.find(({ program_id }) => program_id === id)?.function_name ?? id;
      const { links } = await invoke("link/list", {});
      return links.map(
        (link) => `${nameOf(link.program_id)} ${"position" in link.details ? link.details.position : ""}`,
      );
    };
    const hook = { netns: null, ifindex: 2, direction: "ingress" } as const;
    members(["a", "b", "c"]);
    await apply();
    expect(await chain()).toEqual(["a 0", "b 1", "c 2"]);
    members(["b"]);
    expect(brief(await apply()).filter((line) => line.startsWith("detach"))).toHaveLength(2);
    expect(await chain()).toEqual(["b 0"]);
    expect(bed.kernel.chainOn(hook)).toHaveLength(1);
    members(["c", "b"]);
    await apply();
    expect((await chain()).toSorted()).toEqual(["b 0", "c 1"]);
    members([]);
    await apply();
    expect(bed.kernel.chainOn(hook)).toEqual([]);
  });

  test("of several applications keeps those before the one that fails", async () => {
    write(`${COUNTER}
  second:
    objects: [{ path: x.o, programs: [{ name: count, type: tcx, attach: [{ kind: tcx, iface: eth1, direction: ingress, priority: 1 }] }] }]
`);
    bed.files.contents.set("/d/x.o", serviceObject());
    const real = bed.kernel.attach.bind(bed.kernel);
    bed.kernel.attach = (pin, to) => {
      if ("ifindex" in to && to.ifindex === 3) throw new BpfmanError("IO_FAILED", "no");
      return real(pin, to);
    };
    const failed = (await apply().catch((thrown: unknown) => thrown)) as BpfmanError;
    expect(failed.message).toMatch(/^apply application "second": ".*", line \d+, column \d+: no$/);
    expect(failed.details).toMatchObject({ application: "second", applied: ["counter"] });
    const { programs } = await invoke("program/list", {});
    expect(programs.map(({ application }) => application)).toEqual(["counter", "counter", "counter"]);
  });
});

describe("each step of an apply", () => {
  const OPENAT = "[{ kind: tracepoint, tracepoint: syscalls/sys_enter_openat }]";
  const SMALL = `
objects:
  - path: x.o
    globals: { LIMIT: 7 }
    programs:
      - name: count
        type: tcx
        attach:
          - { kind: tcx, iface: eth0, direction: ingress, priority: 50 }
          - { kind: tcx, iface: eth1, direction: egress, priority: 5 }
      - { name: filter, attach: [{ kind: xdp, iface: eth0, priority: 20 }] }
      - { name: on_openat, attach: ${OPENAT} }
`;
  async function prepare(text: string): Promise<void> {
    fresh();
    write(SMALL);
    await apply();
    bed.faults.reset();
    write(text);
  }
  const CHANGES = {
    "in place": `${SMALL.replace("priority: 50", "priority: 60").replace("priority: 20", "priority: 10").replace("egress", "ingress")}
      - { name: count_more, type: tcx, attach: [{ kind: tcx, iface: eth1, direction: ingress, priority: 1 }] }
    metadata: { team: net }
`,
    "with new bytecode, and without a link": SMALL.replace("LIMIT: 7", "LIMIT: 8").replace(OPENAT, "[]"),
  };
  const settled = () => bed.inspect((host) => [...host.store.unsettledLinks(), ...host.store.unsettledPrograms()]);

  for (const [name, text] of Object.entries(CHANGES)) {
    test(`${name}: failed, leaves the old state or what the next command completes`, async () => {
      await prepare(SMALL);
      const before = picture();
      write(text);
      await apply();
      const after = picture();
      const { calls } = bed.faults;
      bed.close();
      expect(calls.length).toBeGreaterThan(10);
      for (let step = 1; step <= calls.length; step++) {
        await prepare(text);
        bed.faults.failAt = step;
        const failed = await apply().catch((thrown: unknown) => thrown);
        bed.faults.reset();
        const atOnce = picture();
        await invoke("link/detach", { linkId: 4711, ignoreMissing: true });
        const now = picture();
        // Some failures harm nobody; and once it is decided, what is left is only taking away.
        const isDone = !(failed instanceof BpfmanError) || Bun.deepEquals(now, after);
        expect([step, now]).toEqual([step, isDone ? after : before]);
        if (!isDone) expect([step, atOnce]).toEqual([step, before]);
        expect(settled()).toEqual([]);
        bed.close();
      }
      fresh();
    });

    test(`${name}: killed there, the next apply finishes it`, async () => {
      await prepare(text);
      await apply();
      const after = picture();
      const steps = bed.faults.calls.length;
      bed.close();
      for (let step = 1; step <= steps; step++) {
        await prepare(text);
        bed.faults.dieAt = step;
        await apply().catch(() => {});
        bed.kernel.closeAll();
        bed.faults.reset();
        await expectNoWorries(bed.logged, invoke, step);
        await apply();
        expect([step, sorted(picture())]).toEqual([step, sorted(after)]);
        expect([step, brief(await apply()).filter((line) => !line.startsWith("unchanged "))]).toEqual([step, []]);
        bed.close();
      }
      fresh();
    });
  }
  const sorted = ({ programs, links }: ReturnType<typeof picture>) => ({
    programs: programs.map((each) => JSON.stringify(each)).sort(),
    links,
  });
});
