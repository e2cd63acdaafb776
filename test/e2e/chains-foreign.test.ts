/** Hooks that another tool uses: bpfman says who uses them, and leaves them alone. */
import { describe, expect, test } from "bun:test";
import { resolve } from "node:path";
import { buildBpf } from "../../scripts/build-bpf.ts";
import type { DispatcherListAnswer } from "../../src/domain/answer.ts";
import { watchMembers, wire } from "../labs/chain-lab.ts";
import { cleanUpAfterEach } from "../labs/clean-up.ts";
import { executable, idOf, mapOf } from "../labs/executable.ts";
import { noExtensions } from "../labs/extension-test.ts";
import { bpftool, inKernel, sh, until } from "../labs/kernel-lab.ts";

buildBpf();
const OBJECT = resolve(import.meta.dir, "../../dist/bpf/fixtures/chain.bpf.o");
const CHAIN_FULL_OF_OURS = noExtensions === null ? 2 : 1;

const bpfman = executable();
const lab = wire();

const tc = (...words: readonly string[]): string => sh("tc", "-n", lab.name(), ...words);
/** In the namespace of the network only: `ip netns exec` would give it a file system of its own as well. */
const inside = (...words: readonly string[]): string => sh("nsenter", `--net=${lab.netns()}`, ...words);

async function members(hook: "xdp" | "tc") {
  const names = [0, 1].map((number) => `${hook}:${hook}_member_${number}`);
  const programs = await bpfman.load(OBJECT, "--programs", ...names);
  const watch = watchMembers((name) => mapOf(programs, name));
  watch.setVerdicts({ 0: hook === "xdp" ? 2 : 0, 1: hook === "xdp" ? 2 : 0 });
  return { ...watch, ids: [0, 1].map((number) => idOf(programs, `${hook}_member_${number}`)) };
}

const xdpWords = (): string[] => ["xdp", "-i", "veth0", "-n", lab.netns(), "-p", "50"];
const tcWords = (): string[] => ["tc", "-i", "veth0", "-n", lab.netns(), "-p", "50", "-d", "ingress"];

/** Attaches as many as the kernel can chain, lets a packet through, and takes them off again. */
async function live(chain: Awaited<ReturnType<typeof members>>, words: readonly string[]): Promise<void> {
  const links: string[] = [];
  for (const id of chain.ids.slice(0, CHAIN_FULL_OF_OURS)) {
    links.push(String((await bpfman.attach(id, ...words)).record.id));
  }
  const received = lab.received();
  lab.send(1);
  await until(() => lab.received() === received + 1);
  await bpfman.ok("detach", ...links);
  expect(chain.packets().slice(0, CHAIN_FULL_OF_OURS)).toEqual(links.map(() => 1));
}

describe("TC", () => {
  /** The filters that are not ours, as tc(8) shows them. */
  const filters = (): string => tc("-j", "filter", "show", "dev", "veth0", "ingress");

  test("a filter at the same priority and handle stays, and ours stands beside it", async () => {
    const chain = await members("tc");
    tc("qdisc", "add", "dev", "veth0", "clsact");
    const place = ["dev", "veth0", "ingress", "protocol", "all", "priority", "50", "handle", "0x1"];
    // One that says nothing of its own: the next filter is asked.
    tc("filter", "add", ...place, "bpf", "object-file", OBJECT, "program", "tc_member_9");
    const before = filters();
    await live(chain, tcWords());
    expect(filters()).toBe(before);
  });

  test("a filter of another kind at the same priority is named", async () => {
    const chain = await members("tc");
    tc("qdisc", "add", "dev", "veth0", "clsact");
    const place = ["dev", "veth0", "ingress", "protocol", "all", "priority", "50"];
    tc("filter", "add", ...place, "u32", "match", "u32", "0", "0");
    const before = filters();
    const failure = await bpfman.refused(5, "HOOK_BUSY", "attach", String(chain.ids[0]), ...tcWords());
    expect(failure.message).toContain("a u32 filter");
    expect(filters()).toBe(before);
    expect(await bpfman.links()).toEqual([]);
  });

  test("an ingress qdisc in the place of clsact is named, and stays", async () => {
    const chain = await members("tc");
    tc("qdisc", "add", "dev", "veth0", "ingress");
    const before = tc("-j", "qdisc", "show", "dev", "veth0");
    const failure = await bpfman.refused(5, "STATE_CONFLICT", "attach", String(chain.ids[0]), ...tcWords());
    expect(failure.message).toContain("an ingress qdisc where clsact belongs");
    expect(tc("-j", "qdisc", "show", "dev", "veth0")).toBe(before);
    expect(await bpfman.links()).toEqual([]);
  });

  test("what somebody did to our filter is not taken for ours when the chain ends", async () => {
    const chain = await members("tc");
    const { record } = await bpfman.attach(chain.ids[0] ?? 0, ...tcWords());
    const place = ["dev", "veth0", "ingress", "protocol", "all", "priority", "50", "handle", "0x1"];
    tc("filter", "replace", ...place, "bpf", "direct-action", "object-file", OBJECT, "program", "tc_member_9");
    const before = filters();
    const { code, error } = await bpfman.run("detach", String(record.id));
    expect([code, error]).toEqual([0, expect.stringContaining("is not bpfman's; leaving it alone")]);
    expect(filters()).toBe(before);
    expect(await bpfman.links()).toEqual([]);
  });
});

describe("XDP", () => {
  /** What is on the interface, as ip(8) sees it. */
  const held = (): unknown => JSON.parse(sh("ip", "-j", "-n", lab.name(), "link", "show", "veth0"))[0].xdp;
  async function refused(...named: readonly string[]): Promise<void> {
    const chain = await members("xdp");
    const before = held();
    expect(before).toMatchObject({ attached: expect.anything() });
    const failure = await bpfman.refused(5, "HOOK_BUSY", "attach", String(chain.ids[0]), ...xdpWords());
    for (const words of named) expect(failure.message).toContain(words);
    expect(held()).toEqual(before);
    expect(await bpfman.links()).toEqual([]);
  }

  test("a program of ip(8) is named, and stays", async () => {
    sh("ip", "-n", lab.name(), "link", "set", "dev", "veth0", "xdp", "object", OBJECT, "program", "xdp_member_5");
    await refused('"xdp_member_5"');
    sh("ip", "-n", lab.name(), "link", "set", "dev", "veth0", "xdp", "off");
    await live(await members("xdp"), xdpWords());
  });

  describe("and xdp-loader", () => {
    cleanUpAfterEach(() => {
      // With its pins, which are outside of the namespace; where there is nothing of its own it fails.
      Bun.spawnSync(["nsenter", `--net=${lab.netns()}`, "xdp-loader", "unload", "--all", "veth0"], {
        stderr: "ignore",
      });
    });

    test("what it loaded is named, and stays", async () => {
      const load = ["xdp-loader", "load", "-m", "native", "-n"];
      inside(...load, "xdp_member_5", "veth0", OBJECT);
      // Without extension programs, xdp-loader attaches a program as it is.
      if (noExtensions === null) inside(...load, "xdp_member_6", "-P", "30", "-A", "XDP_DROP,XDP_TX", "veth0", OBJECT);
      const before = inside("xdp-loader", "status", "veth0");
      await refused();
      expect(inside("xdp-loader", "status", "veth0")).toBe(before);
      const { dispatchers }: DispatcherListAnswer = await bpfman.json("dispatcher", "list", "--all");
      const [there, ...others] = dispatchers.filter(
        (each) => each.interface === "veth0" && each.runtime.netns_path === lab.netns(),
      );
      expect(others).toEqual([]);
      expect(there?.foreign_members).toEqual(
        noExtensions === null
          ? [
              expect.objectContaining({
                position: 0,
                program_name: "xdp_member_6",
                priority: 30,
                proceed_on: 0x8000_000a,
              }),
              expect.objectContaining({
                position: 1,
                program_name: "xdp_member_5",
                priority: 50,
                proceed_on: 0x8000_0004,
              }),
            ]
          : undefined,
      );
      if (noExtensions === null) {
        // In the words of xdp-loader.
        expect(before).toMatch(/30 +xdp_member_6 .*XDP_DROP,XDP_TX\n.*50 +xdp_member_5 .*XDP_PASS/);
        expect(await bpfman.ok("dispatcher", "list", "--all")).toMatch(
          / 0 +30 +\d+ +xdp_member_6 +0x8000000a *\n.* 1 +50 +\d+ +xdp_member_5 +0x80000004 /,
        );
      }
      inside("xdp-loader", "unload", "--all", "veth0");
      await live(await members("xdp"), xdpWords());
    });

    test("it and bpftool look at our chain, and do no harm", async () => {
      const chain = await members("xdp");
      for (const id of chain.ids.slice(0, CHAIN_FULL_OF_OURS)) await bpfman.attach(id, ...xdpWords());
      const before = held();
      const { stdout } = Bun.spawnSync(["nsenter", `--net=${lab.netns()}`, "xdp-loader", "status", "veth0"]);
      expect(stdout.toString()).toContain("veth0");
      expect(bpftool("net", "show").length).toBe(1);
      expect(JSON.parse(inside("bpftool", "-j", "net", "show"))[0].xdp).toMatchObject([{ devname: "veth0" }]);
      // Others' may have gone since.
      for (const { id } of bpftool("prog", "show")) inKernel("prog", id);
      expect(held()).toEqual(before);
      lab.send(1);
      await until(() => lab.received() === 1);
      expect(chain.packets().slice(0, CHAIN_FULL_OF_OURS)).toEqual(Array(CHAIN_FULL_OF_OURS).fill(1));
    });
  });
});
