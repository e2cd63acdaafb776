/**
 * bpfman-agent, as its project builds it, drives `bpfman serve`: what an application asks for happens in the kernel, is
 * reported, and comes back after whatever takes it away.
 */
import { beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { resolve } from "node:path";
import { buildBpf } from "../../scripts/build-bpf.ts";
import { noExtensions } from "../labs/extension-test.ts";
import { type KernelFeature, missingFeature } from "../labs/kernel-feature.ts";
import { bpftool, counters, inKernel, until } from "../labs/kernel-lab.ts";
import { KERNEL_FUNCTION, TRACEPOINT, USER_FUNCTION, workload } from "../labs/workload.ts";
import { BUILD_LIMIT_MS, goProgram, missingProgram } from "./go-program.ts";
import { type ApplicationState, fleetNode } from "./node-lab.ts";

buildBpf();
const OBJECT = resolve(import.meta.dir, "../../dist/bpf/fixtures/kinds.bpf.o");
const CALLS = 3;
const PINGS = 4;

const reason = missingProgram("bpfman-agent");
if (reason !== null) test.skip(`bpfman-agent (skipped: ${reason})`, () => {});

interface Kind {
  readonly type: string;
  readonly program: string;
  /** Its counter in kinds.bpf.c. */
  readonly slot: number;
  /** What counts it: packets to the node, or calls of the workload. */
  readonly counts: "packets" | "calls";
  readonly needs?: KernelFeature;
  /** The part of the program's specification that has its links. */
  spec(): Readonly<Record<string, unknown>>;
}

const interfaces = { interfaceSelector: { interfaces: ["veth0"] }, priority: 50 };
const load = workload();
const ownFunction = () => ({ links: [{ function: USER_FUNCTION, offset: 0, target: load.binary }] });
const kernelFunction = { links: [{ function: KERNEL_FUNCTION, offset: 0 }] };
const traced = { function: KERNEL_FUNCTION, links: [{ mode: "Attach" }] };
/** With the values that the API server fills in. */
const KINDS: readonly Kind[] = [
  {
    ...{ type: "XDP", program: "count_xdp", slot: 11, counts: "packets" },
    spec: () => ({ xdp: { links: [{ ...interfaces, proceedOn: ["Pass", "DispatcherReturn"] }] } }),
  },
  {
    ...{ type: "TC", program: "count_tc", slot: 12, counts: "packets" },
    spec: () => ({
      tc: { links: [{ ...interfaces, direction: "Ingress", proceedOn: ["OK", "Pipe", "DispatcherReturn"] }] },
    }),
  },
  {
    ...{ type: "TCX", program: "count_tcx", slot: 10, counts: "packets" },
    spec: () => ({ tcx: { links: [{ ...interfaces, direction: "Ingress" }] } }),
  },
  {
    ...{ type: "TracePoint", program: "count_tracepoint", slot: 0, counts: "calls" },
    spec: () => ({ tracepoint: { links: [{ name: TRACEPOINT }] } }),
  },
  {
    ...{ type: "UProbe", program: "count_uprobe", slot: 4, counts: "calls" },
    spec: () => ({ uprobe: ownFunction() }),
  },
  {
    ...{ type: "URetProbe", program: "count_uretprobe", slot: 5, counts: "calls" },
    spec: () => ({ uretprobe: ownFunction() }),
  },
  {
    ...{ type: "KProbe", program: "count_kprobe", slot: 1, counts: "calls", needs: "kprobe" },
    spec: () => ({ kprobe: kernelFunction }),
  },
  {
    ...{ type: "KRetProbe", program: "count_kretprobe", slot: 2, counts: "calls", needs: "kprobe" },
    spec: () => ({ kretprobe: kernelFunction }),
  },
  {
    ...{ type: "FEntry", program: "count_fentry", slot: 6, counts: "calls", needs: "tracing" },
    spec: () => ({ fentry: traced }),
  },
  {
    ...{ type: "FExit", program: "count_fexit", slot: 8, counts: "calls", needs: "tracing" },
    spec: () => ({ fexit: traced }),
  },
];

const here = KINDS.filter(({ needs }) => needs === undefined || missingFeature(needs) === null);
const notHere = KINDS.filter((kind) => !here.includes(kind)).map(({ type }) => type);
const some = here.filter(({ type }) => ["XDP", "TC", "TCX", "TracePoint"].includes(type));

describe.skipIf(reason !== null)("bpfman-agent", () => {
  const node = fleetNode();
  beforeAll(() => void goProgram("bpfman-agent"), BUILD_LIMIT_MS);
  beforeEach(async () => {
    await node.startDaemon();
    await node.startAgent();
  });

  const specOf = (kinds: readonly Kind[], byteCode: object = { path: OBJECT }) => ({
    byteCode,
    globalData: { WORKLOAD: Buffer.from(load.nameHex, "hex").toString("base64") },
    programs: kinds.map(({ type, program, spec }) => ({ name: program, type, ...spec() })),
  });

  const idsOf = ({ status }: ApplicationState): number[] =>
    (status?.programs ?? []).map(({ name, programId }) => {
      if (programId === undefined) throw new Error(`${name} has no program`);
      return programId;
    });

  /** All programs that the daemon has pinned. */
  const pinned = (): number[] =>
    node
      .sh("ls", "/run/bpfman/fs")
      .split("\n")
      .flatMap((name) => /^prog_(\d+)$/.exec(name)?.[1] ?? [])
      .map(Number)
      .sort((a, b) => a - b);

  const sorted = (ids: readonly number[]): number[] => [...ids].sort((a, b) => a - b);

  /** Counters of an application, by slot. */
  function countersOf(state: ApplicationState): number[] {
    const [first = 0] = idsOf(state);
    const { map_ids: maps } = bpftool("prog", "show", "id", String(first));
    const map = maps.find((id: number) => bpftool("map", "show", "id", String(id)).name === "events");
    return counters(map);
  }

  /** Each program of the application sees each event once. */
  async function expectCounting(
    state: ApplicationState,
    kinds: readonly Kind[],
    ping = (count: number) => node.cable.ping(count),
  ): Promise<void> {
    const before = countersOf(state);
    expect(ping(PINGS)).toBe(PINGS);
    await load.run(CALLS);
    const after = countersOf(state);
    const seen = kinds.map(({ type, slot }) => [type, (after[slot] ?? 0) - (before[slot] ?? 0)]);
    expect(seen).toEqual(kinds.map(({ type, counts }) => [type, counts === "packets" ? PINGS : CALLS]));
  }

  async function loaded(name: string, kinds: readonly Kind[], byteCode?: object): Promise<ApplicationState> {
    await node.apply(name, specOf(kinds, byteCode));
    return node.reported(name, "Success");
  }

  /** After whatever happened, the agent has looked, and everything runs again, once. */
  async function expectRestored(name: string, kinds: readonly Kind[], before: ApplicationState): Promise<void> {
    await node.nudge();
    let state = before;
    await until(() => pinned().length >= kinds.length);
    for (let tries = 0; tries < 200; tries++) {
      state = await node.reported(name, "Success");
      if (idsOf(state).every((id) => !idsOf(before).includes(id))) break;
      await Bun.sleep(50);
    }
    expect(idsOf(state).filter((id) => idsOf(before).includes(id))).toEqual([]);
    // The links' state is reported after the programs'.
    state = await node.reported(name, "Success");
    expect(pinned()).toEqual(sorted(idsOf(state)));
    await expectCounting(state, kinds);
  }

  test(`loads, attaches, reports and deletes${notHere.length > 0 ? ` (but for ${notHere}, which this kernel lacks)` : ""}`, async () => {
    const state = await loaded("every-kind", here);
    expect(state.status?.appLoadStatus).toBe("LoadSuccess");
    expect(state.status?.programs?.map(({ type, programLinkStatus }) => [type, programLinkStatus])).toEqual(
      here.map(({ type }) => [type, "Success"]),
    );
    expect(pinned()).toEqual(sorted(idsOf(state)));
    await expectCounting(state, here);
    await node.delete("every-kind");
    await until(() => idsOf(state).every((id) => !inKernel("prog", id)));
    expect(pinned()).toEqual([]);
    expect(node.sh("tc", "filter", "show", "dev", "veth0", "ingress")).toBe("");
    expect(node.sh("ip", "link", "show", "veth0")).not.toContain("xdp");
  });

  test("a program that is unloaded behind its back: all come back, and nothing twice", async () => {
    const state = await loaded("drift", some);
    const [id = 0] = idsOf(state);
    node.bpfman("unload", String(id));
    await expectRestored("drift", some, state);
  });

  test("the daemon is killed: nothing is loaded again, no link made anew", async () => {
    const state = await loaded("killed", some);
    // Without the daemon, the agent takes every program for gone, and asks until it is there again.
    await node.quiet();
    await node.killDaemon();
    await expectCounting(state, some);
    const links = node.sh("ls", "/run/bpfman/fs/links");
    await node.startDaemon();
    await node.nudge();
    expect((await node.reported("killed", "Success")).status).toEqual(state.status);
    expect(node.sh("ls", "/run/bpfman/fs/links")).toBe(links);
    await expectCounting(state, some);
  });

  test("the file system with the pins is lost, with the daemon: all come back, and the old filter goes", async () => {
    const state = await loaded("lost", some);
    await node.killDaemon();
    node.loseBpffs();
    await node.startDaemon();
    await expectRestored("lost", some, state);
  });

  test("a new boot: all come back", async () => {
    const state = await loaded("boot", some);
    await node.killDaemon();
    await node.stopAgent();
    node.reboot();
    await node.startDaemon();
    await node.startAgent();
    await expectRestored("boot", some, state);
  });

  test("two applications on the same hooks: one goes, the other stays; a link that goes leaves the rest", async () => {
    const both = here.filter(({ type }) => ["TCX", "TracePoint"].includes(type));
    const first = await loaded("first", both);
    const second = await loaded("second", both);
    await expectCounting(first, both);
    await expectCounting(second, both);
    await node.delete("first");
    await until(() => idsOf(first).every((id) => !inKernel("prog", id)));
    expect(pinned()).toEqual(sorted(idsOf(second)));
    await expectCounting(second, both);

    const [tcx] = both;
    const unlinked = specOf(both).programs.map((each) => ("tcx" in each ? { ...each, tcx: { links: [] } } : each));
    await node.change("second", { ...specOf(both), programs: unlinked });
    await until(() => node.sh("ls", "/run/bpfman/fs/links").trim().split("\n").length === 1);
    const before = countersOf(second);
    expect(node.cable.ping(PINGS)).toBe(PINGS);
    expect(countersOf(second)[tcx?.slot ?? 0]).toBe(before[tcx?.slot ?? 0] ?? 0);
    expect(idsOf(await node.reported("second", "Success"))).toEqual(idsOf(second));
  });

  test("programs of a namespace, in its pods: on their interfaces, and in their containers", async () => {
    const pod = await node.startPod("web", { app: "web" });
    const pods = { pods: { matchLabels: { app: "web" } } };
    const inPods = { interfaceSelector: { interfaces: ["eth0"] }, networkNamespaces: pods, priority: 50 };
    const place = { function: USER_FUNCTION, offset: 0, target: load.binary };
    const inContainers = { links: [{ ...place, containers: { ...pods, containerNames: [pod.container] } }] };
    const kinds = here.filter(({ type }) => ["XDP", "TC", "TCX", "UProbe", "URetProbe"].includes(type));
    const parts: Readonly<Record<string, object>> = {
      XDP: { xdp: { links: [{ ...inPods, proceedOn: ["Pass", "DispatcherReturn"] }] } },
      TC: { tc: { links: [{ ...inPods, direction: "Ingress", proceedOn: ["OK", "Pipe", "DispatcherReturn"] }] } },
      TCX: { tcx: { links: [{ ...inPods, direction: "Ingress" }] } },
      UProbe: { uprobe: inContainers },
      URetProbe: { uretprobe: inContainers },
    };
    const programs = kinds.map(({ type, program }) => ({ name: program, type, ...parts[type] }));
    await node.apply("team/pods", { ...specOf([]), programs });
    const state = await node.reported("team/pods", "Success");
    expect(node.bpfman("list", "links", "-q").trim().split("\n")).toHaveLength(kinds.length);
    await expectCounting(state, kinds, pod.ping);
    // They are where the pod is, and nowhere else.
    const before = countersOf(state);
    expect(node.cable.ping(PINGS)).toBe(PINGS);
    expect(countersOf(state)).toEqual(before);
    await node.delete("team/pods");
    await until(() => idsOf(state).every((id) => !inKernel("prog", id)));
  });

  test("an interface that the agent discovers in a named network namespace", async () => {
    await node.stopAgent();
    node.sh("ip", "netns", "add", "blue");
    node.sh("ip", "-n", "blue", "link", "add", "found0", "type", "veth", "peer", "name", "found1");
    node.sh("ip", "-n", "blue", "link", "set", "found0", "up");
    await node.startAgent();
    await until(() => node.agentLog().includes('"interface created","Name":"found0","netns":"blue"'));
    const discovery = { interfaceAutoDiscovery: true, allowedInterfaces: ["found0"] };
    const link = { interfaceSelector: { interfacesDiscoveryConfig: discovery }, priority: 50, proceedOn: ["Pass"] };
    const programs = [{ name: "count_xdp", type: "XDP", xdp: { links: [link] } }];
    await node.apply("discovered", { ...specOf([]), programs });
    const [id = 0] = idsOf(await node.reported("discovered", "Success"));
    expect(node.sh("ip", "-n", "blue", "link", "show", "found0")).toContain(`prog/xdp id ${id} `);
    await node.delete("discovered");
    node.sh("ip", "netns", "delete", "blue");
  });

  test("an image that is not there is asked for seldom, whatever the agent does, and loaded once it is", async () => {
    const registry = await node.startRegistry();
    const url = "127.0.0.1:5000/kinds:v1";
    await node.apply("image", specOf(some, { image: { url, imagePullPolicy: "IfNotPresent" } }));
    await node.reported("image", "Error");
    const failures = () => node.agentLog().split('"failed to reconcileLoad"').length - 1;
    await until(() => failures() >= 20);
    expect(registry.asked()).toBeLessThan(4);
    // Another application is not held up by this one.
    const other = await loaded(
      "other",
      some.filter(({ type }) => type === "TracePoint"),
    );
    expect(idsOf(other)).toHaveLength(1);
    node.bpfman("image", "build", "-t", url, "-b", OBJECT);
    const state = await node.reported("image", "Success");
    await expectCounting(state, some);
  });

  const chain = noExtensions === null ? test : test.skip;
  chain(`chains of several programs${noExtensions === null ? "" : ` (skipped: ${noExtensions})`}`, async () => {
    const chained = here.filter(({ type }) => ["XDP", "TC"].includes(type));
    const states = new Map<string, ApplicationState>();
    for (const name of ["chain-a", "chain-b", "chain-c"]) states.set(name, await loaded(name, chained));
    for (const state of states.values()) await expectCounting(state, chained);
    await node.killDaemon();
    await node.startDaemon();
    await node.delete("chain-b");
    states.delete("chain-b");
    for (const state of states.values()) await expectCounting(state, chained);
    for (const name of states.keys()) await node.delete(name);
    expect(pinned()).toEqual([]);
    expect(node.sh("ip", "link", "show", "veth0")).not.toContain("xdp");
  });
});
