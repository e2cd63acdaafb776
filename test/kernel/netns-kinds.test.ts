/** Programs on network namespaces of the test's own: sk_lookup, and netfilter by protocol, hook and priority. */
import { describe, expect, test } from "bun:test";
import { existsSync, statSync } from "node:fs";
import { release } from "node:os";
import { resolve } from "node:path";
import { buildBpf } from "../../scripts/build-bpf.ts";
import type { LinkAnswer } from "../../src/domain/answer.ts";
import { cgroupLab } from "../labs/cgroup-lab.ts";
import { executable, idOf, mapOf } from "../labs/executable.ts";
import { bpftool, counters, deleteNamespaces, inKernel, ipBatch, sh, until } from "../labs/kernel-lab.ts";

buildBpf();
const OBJECT = resolve(import.meta.dir, "../../dist/bpf/fixtures/cgroup.bpf.o");
const version = release().replace(/-.*/, "");
const HAS_NETFILTER = Bun.semver.satisfies(version, ">=6.4.0");

const bpfman = executable();
const lab = cgroupLab();

async function load(name: string) {
  const programs = await bpfman.load(OBJECT, "--programs", name, "-a", "net");
  const map = mapOf(programs, "events");
  return { id: idOf(programs, name), count: (slot: number) => counters(map)[slot] };
}

async function expectDetached({ record }: LinkAnswer): Promise<void> {
  await bpfman.ok("detach", String(record.id));
  expect(inKernel("link", record.kernel_link_id ?? 0)).toBe(false);
  expect(existsSync(record.pin_path ?? "")).toBe(false);
}

describe("sk_lookup", () => {
  const SLOT = 31;

  test("runs once for each new connection of its namespace", async () => {
    const { id, count } = await load("on_lookup");
    const cgroup = lab.make("lookup");
    const link = await bpfman.attach(id, "sk_lookup", "--netns", lab.netns);
    const nsid = statSync(lab.netns).ino;
    expect(link.record).toMatchObject({ kind: "sk_lookup", details: { netns: lab.netns, nsid } });
    expect(link.status.kernel).toMatchObject({ link_type: "netns", attach_type: "sk_lookup", netns_ino: nsid });
    expect(bpftool("link", "show", "id", String(link.record.kernel_link_id))).toMatchObject({ netns_ino: nsid });
    await lab.run(cgroup, 3);
    expect(count(SLOT)).toBe(3);
    expect(await bpfman.ok("list", "links")).toContain(`sk_lookup  on_lookup      ${lab.netns} \n`);
    expect(await bpfman.ok("get", "link", String(link.record.id))).toContain(lab.netns);
    const twice = await bpfman.refused(5, "ALREADY_ATTACHED", "attach", String(id), "sk_lookup", "-n", lab.netns);
    expect(twice.message).toContain(`as link ${link.record.id}`);
    await expectDetached(link);
    await lab.run(cgroup, 1);
    expect(count(SLOT)).toBe(3);
  });

  test("a link that another tool detached is said to be that, and its namespace not to be gone", async () => {
    const { id } = await load("on_lookup");
    const { record } = await bpfman.attach(id, "sk_lookup", "-n", lab.netns);
    sh("bpftool", "link", "detach", "id", String(record.kernel_link_id));
    expect(await bpfman.ok("list", "links")).toContain(`${lab.netns} (detached)`);
    expect((await bpfman.findings()).map(({ code }) => code)).toEqual(["link-detached"]);
    // It is no obstacle to the next.
    await bpfman.attach(id, "sk_lookup", "-n", lab.netns);
    expect((await bpfman.run("repair")).code).toBe(0);
    expect((await bpfman.links()).map((link) => link.id)).toEqual([record.id + 1]);
  });

  test("a namespace that has gone is shown as gone, and what is none is refused", async () => {
    const { id } = await load("on_lookup");
    const name = `bpfman-lab-${process.pid}-gone`;
    ipBatch([], `netns add ${name}`);
    let link: LinkAnswer;
    try {
      link = await bpfman.attach(id, "sk_lookup", "-n", `/run/netns/${name}`);
    } finally {
      deleteNamespaces(name);
    }
    const kernel = String(link.record.kernel_link_id);
    await until(() => bpftool("link", "show", "id", kernel).netns_ino === 0);
    expect(await bpfman.ok("list", "links")).toContain(`/run/netns/${name} (namespace gone)`);
    const errors = (await bpfman.findings()).filter(({ severity }) => severity === "error");
    expect(errors.map(({ code, evidence }) => [code, evidence.link_id])).toEqual([["hook-gone", link.record.id]]);
    expect((await bpfman.run("repair")).code).toBe(0);
    expect(await bpfman.links()).toEqual([]);
    const words = ["attach", String(id), "sk_lookup", "--netns"];
    await bpfman.refused(3, "NETNS_NOT_FOUND", ...words, `/run/netns/${name}`);
    await bpfman.refused(3, "NETNS_NOT_FOUND", ...words, "/proc/self/ns/mnt");
    await bpfman.refused(3, "NETNS_NOT_FOUND", ...words, "/etc/passwd");
  });
});

describe.skipIf(!HAS_NETFILTER)(
  `netfilter${HAS_NETFILTER ? "" : ` (skipped: Linux ${version} is older than 6.4)`}`,
  () => {
    const SLOT = 32;
    const words = (hook: string, ...more: string[]) =>
      ["netfilter", "--protocol", "ipv4", "--hook", hook, "--netns", lab.netns, ...more] as const;

    test("counts the packets of its hook, beside others with other priorities", async () => {
      const { id, count } = await load("on_netfilter");
      const link = await bpfman.attach(id, ...words("output", "--priority", "-128"));
      const place = { netns: lab.netns, nsid: statSync(lab.netns).ino };
      const details = { protocol: "ipv4", hook: "output", priority: -128, defrag: false, ...place };
      expect(link.record).toMatchObject({ kind: "netfilter", details });
      const facts = { link_type: "netfilter", attach_type: null, pf: 2, hooknum: 3, priority: -128, flags: 0 };
      expect(link.status.kernel).toMatchObject(facts);
      // A request and its answer.
      lab.ping(5);
      expect(count(SLOT)).toBe(10);
      expect(await bpfman.ok("list", "links")).toContain(`ipv4 output -128 ${lab.netns}`);
      const busy = await bpfman.refused(5, "HOOK_BUSY", "attach", String(id), ...words("output", "-p", "-128"));
      expect(busy.message).toEndWith("another BPF program has priority -128 there");
      const second = await bpfman.attach(id, ...words("output", "-p", "7"));
      lab.ping(1);
      expect(count(SLOT)).toBe(14);
      await expectDetached(second);
      await expectDetached(link);
      lab.ping(1);
      expect(count(SLOT)).toBe(14);
    });

    test("of IPv6, on the way in", async () => {
      const { id, count } = await load("on_netfilter");
      const cgroup = lab.make("netfilter");
      await bpfman.ok("link", "attach", "netfilter", String(id), "ipv6", "input", "-n", lab.netns);
      lab.ping(1);
      // Of IPv6, the workload sends one datagram in each round.
      await lab.run(cgroup, 3);
      expect(count(SLOT)).toBe(3);
    });

    test("sees fragments, or whole packets", async () => {
      const { id, count } = await load("on_netfilter");
      const apart = await bpfman.attach(id, ...words("prerouting"));
      lab.ping(2, 3000);
      expect(count(SLOT)).toBe(2 * 2 * 3);
      await expectDetached(apart);
      await bpfman.attach(id, ...words("prerouting", "--defrag"));
      lab.ping(2, 3000);
      expect(count(SLOT)).toBe(2 * 2 * 3 + 2 * 2);
    });

    test("keeps its namespace until it is detached", async () => {
      const { id } = await load("on_netfilter");
      const name = `bpfman-lab-${process.pid}-kept`;
      ipBatch([], `netns add ${name}`);
      let link: LinkAnswer;
      try {
        const where = ["--protocol", "ipv6", "--hook", "forward", "-n", `/run/netns/${name}`];
        link = await bpfman.attach(id, "netfilter", ...where);
      } finally {
        deleteNamespaces(name);
      }
      const held = await bpfman.findings();
      expect(held.map(({ code, evidence }) => [code, evidence.link_id])).toEqual([["namespace-held", link.record.id]]);
      expect(await bpfman.ok("list", "links")).toContain(`ipv6 forward 0 /run/netns/${name} (namespace gone)`);
      // Another namespace at the path is not the one that the link is in.
      ipBatch([], `netns add ${name}`);
      try {
        expect(await bpfman.ok("get", "link", String(link.record.id))).toContain(`/run/netns/${name} (namespace gone)`);
      } finally {
        deleteNamespaces(name);
      }
      await expectDetached(link);
    });
  },
);

test.skipIf(HAS_NETFILTER)(
  `netfilter is refused${HAS_NETFILTER ? ` (skipped: Linux ${version} has it)` : ""}`,
  async () => {
    const words = ["load", "file", "--path", OBJECT, "--programs", "netfilter:on_netfilter"];
    const { hint } = await bpfman.refused(1, "LOAD_FAILED", ...words);
    expect(hint).toContain('"bpfman inspect OBJECT" says which version of Linux has them');
    expect(await bpfman.ok("inspect", OBJECT)).toContain("program type netfilter (Linux 6.4)");
  },
);
