/**
 * One life of a machine that is rebooted: `reboot-machine.ts before|after DIRECTORY`, run as root in a virtual machine
 * (scripts/vm.ts). DIRECTORY is on a disk that outlives it, and has the state directory. Before, everything is attached that
 * this kernel can; after, it is restored. Each life writes what there is into DIRECTORY.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { type Client, startClient } from "../../rpc/client/client.ts";
import type { ParamsOf } from "../../rpc/protocol.ts";
import { openKernel } from "../../src/kernel/open-kernel.ts";
import { BPFMAN } from "./executable.ts";
import { sh } from "./kernel-lab.ts";

const STAYS = "/run/netns/bpfman-stays";
const GOES = "/run/netns/bpfman-goes";
const INDEX = 77;
const CGROUP = "/sys/fs/cgroup/bpfman-stays";
const TARGET = "/usr/bin/env";
const FUNCTION = "security_task_getpgid";
const object = (name: string): string => resolve(import.meta.dir, `../../dist/bpf/fixtures/${name}.bpf.o`);

type Target = ParamsOf<"link/attach">["attach"];
type Load = Omit<ParamsOf<"program/load">, "source" | "programs">;

/** What a boot script of the machine makes again. */
function makeNetwork(): void {
  sh("ip", "netns", "add", "bpfman-stays");
  sh(
    "ip",
    "-n",
    "bpfman-stays",
    "link",
    "add",
    "veth0",
    "index",
    String(INDEX),
    "type",
    "veth",
    "peer",
    "name",
    "veth1",
  );
  sh("ip", "-n", "bpfman-stays", "link", "set", "veth0", "up");
  mkdirSync(CGROUP, { recursive: true });
}

/** Returns an ID for each name. */
async function load(client: Client, file: string, names: readonly string[], more: Load = {}): Promise<number[]> {
  const programs = names.map((each) => {
    const [type = "", name = "", attachFunction = null] = each.split(" ");
    return { type, name, attachFunction } as ParamsOf<"program/load">["programs"][number];
  });
  const answer = await client.call("program/load", { source: { file: object(file) }, programs, ...more });
  return answer.programs.map(({ record }) => record?.program_id ?? 0);
}

async function attachAll(client: Client): Promise<void> {
  /** What this kernel cannot is not there to come back; the test counts what is. */
  const attach = async (programId: number | undefined, target: Target, metadata = {}): Promise<void> => {
    if (programId === undefined) return;
    await client.call("link/attach", { programId, attach: target, metadata }).catch((thrown: unknown) => {
      console.log(`not attached: ${target.kind}: ${String(thrown)}`);
    });
  };
  const tryToLoad = async (...words: Parameters<typeof load>): Promise<number | undefined> => {
    const ids = await load(...words).catch((thrown: unknown) => void console.log(`not loaded: ${String(thrown)}`));
    return ids?.[0];
  };
  const at = (priority: number, iface = "veth0", netns = STAYS) => ({ iface, netns, priority });
  const xdp = await load(client, "chain", ["xdp xdp_member_2", "xdp xdp_member_0", "xdp xdp_member_1"]);
  for (const [index, id] of xdp.entries()) await attach(id, { kind: "xdp", ...at(index === 1 ? 10 : 50) });
  const tc = await load(client, "chain", ["tc tc_member_2", "tc tc_member_0", "tc tc_member_1"]);
  for (const id of tc) await attach(id, { kind: "tc", direction: "ingress", ...at(50), proceedOn: ["ok", "shot"] });
  const tcx = await load(client, "chain", ["tcx tc_member_4", "tcx tc_member_3"], { keep: true });
  for (const id of tcx) await attach(id, { kind: "tcx", direction: "ingress", ...at(50) }, { owner: "me" });
  sh("ip", "netns", "add", "bpfman-goes");
  sh("ip", "-n", "bpfman-goes", "link", "add", "veth8", "type", "veth", "peer", "name", "veth9");
  await attach(tcx[0], { kind: "tcx", direction: "egress", ...at(50, "veth8", GOES) });

  const kind = (name: string) =>
    tryToLoad(client, "kinds", [name], {
      ...{ globalData: { WORKLOAD: "61".repeat(16) }, metadata: { kind: "several" }, application: "kinds" },
    });
  await attach(await kind("tracepoint count_tracepoint"), {
    kind: "tracepoint",
    tracepoint: "syscalls/sys_enter_getpgid",
  });
  await attach(await kind("raw_tp count_raw_tp"), { kind: "raw_tp", tracepoint: "sys_enter" });
  for (const name of ["kprobe count_kprobe", "kretprobe count_kretprobe"])
    await attach(await kind(name), { kind: "kprobe", fnName: FUNCTION });
  const user = await kind("uprobe count_uprobe");
  await attach(user, { kind: "uprobe", target: TARGET, offset: 0x3000 });
  await attach(user, { kind: "uprobe", target: TARGET, offset: 0x3000, pid: process.pid });
  await attach(await kind(`fentry count_fentry ${FUNCTION}`), { kind: "fentry" });
  await attach(await kind("kprobe.multi count_kprobe_multi"), { kind: "kprobe.multi", fnName: "security_task_getp*" });
  await attach(await kind("perf_event count_perf_event"), {
    kind: "perf_event",
    event: "cpu-clock",
    cpu: 0,
    frequency: 49,
  });

  const [first, second] = await load(client, "cgroup", ["cgroup_sock_addr first", "cgroup_sock_addr second"]);
  for (const id of [second, first]) await attach(id, { kind: "cgroup", cgroup: CGROUP });
  const [owner] = await load(client, "life", ["tracepoint on_openat"], { globals: { LIMIT: 7 } });
  await load(client, "life", ["tcx count_in_shared_map"], { mapOwnerId: owner ?? 0 });
}

/** What the lists show, without the numbers of the kernel; who shares maps with whom; and the orders that the kernel has. */
async function picture(client: Client): Promise<unknown> {
  const { programs } = await client.call("program/list", {});
  const index = new Map(programs.map(({ program_id: id }, place) => [id, place]));
  const { links } = await client.call("link/list", {});
  const { dispatchers } = await client.call("dispatcher/list", {});
  const orders = await Promise.all(
    dispatchers.map(async ({ key: { type, nsid, ifindex } }) => {
      const { members } = await client.call("dispatcher/get", { type: type as "xdp", nsid, ifindex });
      return { type, members: members.map(({ program_id: id, priority }) => [index.get(id), priority]) };
    }),
  );
  // Tools of Debian 12 do not show TCX.
  const hook = { netns: STAYS, ifindex: INDEX, interface: "veth0", direction: "ingress" } as const;
  const tcx = openKernel().tcxState(hook).members;
  const maps = await client.call("map/list", {});
  return {
    programs: programs.map(({ record, ...program }) => ({
      ...{ name: program.function_name, type: program.type, application: program.application, links: program.links },
      ...{ globals: record?.load.global_data, metadata: record?.meta.metadata, keep: record?.load.keep },
      ...{ created: record?.created_at, owner: index.get(record?.handles.map_owner_id ?? 0) ?? null },
      source: record?.load.source_path,
    })),
    links: links.map(
      ({ id, kind, program_id: program, details, metadata, created_at: created, pin_path: pin, state }) => ({
        ...{ id, kind, program: index.get(program), metadata, created, state },
        pinned: pin?.replace(/dispatcher_.*/, "dispatcher") ?? null,
        details: { ...details, nsid: 0, ifindex: 0, dispatcher_id: 0, revision: 0, cgroup_id: 0 },
      }),
    ),
    orders: orders.toSorted((a, b) => a.type.localeCompare(b.type)),
    tcx: tcx.map(({ program }) => index.get(program)),
    // It prints nothing where nothing is attached.
    cgroup: [...sh("bpftool", "-j", "cgroup", "show", CGROUP).matchAll(/"name":"(\w+)"/g)].map(([, name]) => name),
    maps: maps.maps.map(({ name, max_entries: entries }) => `${name} ${entries}`).sort(),
  };
}

const [phase, directory = ""] = process.argv.slice(2);
const write = (name: string, value: unknown): void =>
  writeFileSync(join(directory, `${name}.json`), JSON.stringify(value, null, 2));
makeNetwork();
const client = await startClient({ command: [BPFMAN, "--state-dir", join(directory, "state"), "rpc"] });
if (phase === "before") {
  await attachAll(client);
  write("before", await picture(client));
} else {
  write("untouched", await picture(client));
  write("restored", await client.call("restore", {}));
  write("after", await picture(client));
  write("again", await client.call("restore", {}));
  write("later", await picture(client));
  write("findings", (await client.call("doctor", {})).findings);
}
await client.dispose();
