/** XDP and TC chains with the executable: packets show which programs ran, in which order, and that no others ran. */
import { describe, expect } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { buildBpf } from "../../scripts/build-bpf.ts";
import type { DispatcherDetailAnswer, LinkAnswer } from "../../src/domain/answer.ts";
import { placeOn, watchMembers, wire } from "../labs/chain-lab.ts";
import { compileBpf } from "../objects/compile.ts";
import { executable, idOf, mapOf } from "../labs/executable.ts";
import { extensionTest } from "../labs/extension-test.ts";
import { inKernel, sh, until } from "../labs/kernel-lab.ts";

buildBpf();
const OBJECT = resolve(import.meta.dir, "../../dist/bpf/fixtures/chain.bpf.o");
const TEN = Array.from({ length: 10 }, (_, number) => number);
/** In which order the ten run, once they are attached one after the other. */
const ORDER = [7, 2, 9, 0, 4, 1, 8, 3, 6, 5];

const bpfman = executable();
const lab = wire();

const linksNow = async () => (await (await bpfman.session()).call("link/list", {})).links;
const linkNow = async (linkId: number) => (await bpfman.session()).call("link/get", { linkId });
const programNow = async (programId: number) => (await bpfman.session()).call("program/get", { programId });
const dispatchersNow = async () => (await (await bpfman.session()).call("dispatcher/list", {})).dispatchers;

describe.each([
  ["xdp", 2, 1],
  ["tc", 0, 2],
] as const)("%s", (hook, passes, drops) => {
  const type = hook === "xdp" ? "xdp" : "tc-ingress";
  const everyone = Object.fromEntries(TEN.map((member) => [member, passes]));
  const words = (priority: number): string[] => [
    ...[hook, "-i", "veth0", "-n", lab.netns(), "-p", String(priority)],
    ...(hook === "tc" ? ["-d", "ingress"] : []),
  ];

  /** Loads these members together; each passes packets on. */
  async function members(...numbers: readonly number[]) {
    const names = numbers.map((number) => `${hook}:${hook}_member_${number}`);
    const programs = await bpfman.load(OBJECT, "--programs", ...names);
    const watch = watchMembers((name) => mapOf(programs, name));
    watch.setVerdicts(everyone);
    return { ...watch, id: (number: number) => idOf(programs, `${hook}_member_${number}`) };
  }

  /** Attaches it by the session; the commands under test are run as such. */
  const attach = async (programId: number, priority: number, metadata = {}): Promise<LinkAnswer> =>
    (await bpfman.session()).call("link/attach", {
      programId,
      attach: placeOn(hook, { netns: lab.netns(), priority }),
      metadata,
    });

  async function dispatcher(): Promise<DispatcherDetailAnswer> {
    const dispatchers = await dispatchersNow();
    expect(dispatchers.map((each) => [each.key.type, each.interface])).toEqual([[type, "veth0"]]);
    const { nsid, ifindex } = dispatchers[0]?.key ?? { nsid: 0, ifindex: 0 };
    return (await bpfman.session()).call("dispatcher/get", { type, nsid, ifindex });
  }

  /** What holds the chain on its hook, which must be the same over all changes. */
  const seatOf = ({ runtime }: DispatcherDetailAnswer) => ({ ...runtime, program_id: null });

  extensionTest(
    `${hook}: ten in scrambled order, each verified once; an eleventh is refused; all keep what they are`,
    async () => {
      const chain = await members(...TEN);
      const links: LinkAnswer[] = [];
      for (const member of TEN) {
        links.push(await attach(chain.id(member), 100 * ORDER.indexOf(member), { member: String(member) }));
      }
      lab.send(1);
      await chain.follow(ORDER);

      const listed = await linksNow();
      const facts = ({ id, program_id, created_at, metadata }: LinkAnswer["record"]) => {
        return { id, program_id, created_at, metadata };
      };
      expect(listed.map(facts)).toEqual(links.map(({ record }) => facts(record)));
      expect(listed.map(({ details }) => "position" in details && details.position)).toEqual(
        TEN.map((member) => ORDER.indexOf(member)),
      );
      const before = await dispatcher();
      expect(before).toMatchObject({ revision: 10, member_count: 10 });
      expect(before.members.map((member) => member.metadata.member)).toEqual(ORDER.map(String));

      const full = await bpfman.refused(5, "DISPATCHER_FULL", "attach", String(chain.id(0)), ...words(0));
      expect(full.message).toContain("(all 10 occupied)");
      const place = ["veth0", ...(hook === "tc" ? ["ingress"] : []), "-n", lab.netns(), "-p", "0"];
      const noun = await bpfman.run("link", "attach", hook, String(chain.id(0)), ...place);
      expect([noun.code, noun.error.split(" on ", 1)]).toEqual([1, ["bpfman: error: no free dispatcher slots"]]);
      expect((await dispatcher()).runtime).toEqual(before.runtime);
      lab.send(1);
      await chain.follow(ORDER);

      // One goes, and comes back to another place: the dispatcher and its twin are all that is loaded, and then verified.
      await bpfman.ok("detach", String(links[4]?.record.id));
      const rest = ORDER.filter((member) => member !== 4);
      lab.send(1);
      await chain.follow(rest);
      const trace = bpfman.path("trace");
      const command = bpfman.command("attach", String(chain.id(4)), ...words(0));
      sh("strace", "-f", "--seccomp-bpf", "-qq", "-o", trace, "-e", "trace=bpf", ...command);
      const loads = readFileSync(trace, "utf8").match(/BPF_PROG_LOAD, .*/g) ?? [];
      expect(loads.filter((load) => load.includes(`prog_name="${hook}_dispatcher"`))).toHaveLength(1);
      // Its twin went with it; those of the others stayed.
      expect(loads.filter((load) => load.includes("_member_"))).toEqual([
        expect.stringMatching(new RegExp(`BPF_PROG_TYPE_EXT.*"${hook}_member_4"`)),
      ]);
      lab.send(1);
      await chain.follow([4, ...rest]);
      const after = await dispatcher();
      expect(seatOf(after)).toEqual(seatOf(before));
      expect(after).toMatchObject({ revision: 12, member_count: 10 });
      // Old dispatchers are gone, and with them their links.
      await until(() => !inKernel("prog", before.runtime.program_id ?? 0));
      for (const { kernel_link_id: link } of before.members) expect(inKernel("link", link ?? 0)).toBe(false);
    },
  );

  extensionTest(`${hook}: link update moves a link, and changes after what the chain goes on`, async () => {
    const chain = await members(0, 1, 2);
    const links: LinkAnswer[] = [];
    for (const member of [0, 1, 2]) links.push(await attach(chain.id(member), 100 * (member + 1)));
    const seat = seatOf(await dispatcher());
    const update = (member: number, ...change: string[]): Promise<LinkAnswer> =>
      bpfman.json("link", "update", String(links[member]?.record.id), ...change);

    const moved = await update(2, "--priority", "50");
    expect(moved.record).toMatchObject({
      ...{ id: links[2]?.record.id ?? 0, created_at: links[2]?.record.created_at ?? "" },
      details: { priority: 50, position: 0 },
    });
    lab.send(1);
    await chain.follow([2, 0, 1]);

    chain.setVerdicts({ 0: drops });
    lab.send(1);
    await chain.follow([2, 0]);
    await update(0, "--proceed-on", hook === "xdp" ? "drop" : "shot");
    lab.send(1);
    await chain.follow([2, 0, 1]);
    expect(seatOf(await dispatcher())).toEqual(seat);
    expect(lab.received()).toBe(2);
  });

  extensionTest(`${hook}: programs of unusual types run beside others`, async () => {
    const object = bpfman.path("any.o");
    const functions = [
      `SEC("${hook}") int any(void *ctx) { return ${passes}; }`,
      `enum verdict { VERDICT = ${passes} }; SEC("${hook}") enum verdict words(void *ctx) { return VERDICT; }`,
      `SEC("${hook}") int nothing(void) { return ${passes}; }`,
    ];
    writeFileSync(object, compileBpf(functions.join("\n")));
    const chain = await members(0);
    const names = ["any", "words", "nothing"];
    const others = await bpfman.load(object, "--programs", ...names.map((name) => `${hook}:${name}`));
    for (const [index, name] of names.entries()) await attach(idOf(others, name), index);
    await attach(chain.id(0), 100);
    expect((await dispatcher()).members.map((member) => member.program_name)).toEqual([...names, `${hook}_member_0`]);
    lab.send(1);
    await chain.follow([0]);
    expect(lab.received()).toBe(1);
  });

  extensionTest(`${hook}: the only one runs directly, and gets a dispatcher with the second`, async () => {
    const chain = await members(0, 1);
    const before = await bpfman.attach(chain.id(0), ...words(100));
    const alone = await dispatcher();
    expect(alone).toMatchObject({ mode: "direct", runtime: { program_id: chain.id(0) } });
    lab.send(1);
    await chain.follow([0]);
    const second = await bpfman.attach(chain.id(1), ...words(50));
    const both = await dispatcher();
    expect([both.mode, seatOf(both)]).toEqual(["chain", seatOf(alone)]);
    lab.send(1);
    await chain.follow([1, 0]);
    const status = await linkNow(before.record.id);
    expect(status.status).toMatchObject({ kernel_seen: true, pin_present: true });
    const twin = await programNow(status.status.kernel?.program_id ?? 0);
    expect([twin.record, twin.status.twin_of, twin.status.kernel?.program_type]).toEqual([
      null,
      chain.id(0),
      "extension",
    ]);
    await bpfman.ok("detach", String(second.record.id));
    expect([(await dispatcher()).mode, seatOf(await dispatcher())]).toEqual(["direct", seatOf(alone)]);
    lab.send(1);
    await chain.follow([0]);
    await until(() => !inKernel("prog", both.runtime.program_id ?? 0));
    await until(() => !inKernel("prog", status.status.kernel?.program_id ?? 0));
    expect(lab.received()).toBe(3);
  });

  extensionTest(`${hook}: a program that is unloaded leaves the chain to the others`, async () => {
    const staying = await members(0, 2);
    const going = await members(1);
    for (const member of [0, 2]) await attach(staying.id(member), 100 * (member + 1));
    await attach(going.id(1), 200);
    lab.send(1);
    await staying.follow([0, 2]);
    await going.follow([1]);
    await bpfman.ok("unload", String(going.id(1)));
    lab.send(1);
    await staying.follow([0, 2]);
    expect((await dispatcher()).members.map((member) => member.position)).toEqual([0, 1]);
    expect(lab.received()).toBe(2);
  });

  extensionTest(`${hook}: a chain whose namespace was deleted ends with the first of its links`, async () => {
    const chain = await members(0, 1, 2);
    for (const member of [0, 1, 2]) await attach(chain.id(member), member);
    const [first, ...others] = await linksNow();
    sh("ip", "netns", "delete", lab.name());
    await bpfman.ok("detach", String(first?.id));
    expect(await dispatchersNow()).toEqual([]);
    for (const { id, kernel_link_id } of others) {
      expect((await linkNow(id)).status).toMatchObject({ kernel_seen: false, pin_present: false });
      expect(inKernel("link", kernel_link_id ?? 0)).toBe(false);
    }
    // One way out is detach, another to unload.
    await bpfman.ok("detach", String(others[0]?.id));
    await bpfman.ok("unload", ...[0, 1, 2].map((member) => String(chain.id(member))));
    await bpfman.expectNothingLeft();
  });

  extensionTest(`${hook}: hooks, interfaces and namespaces that go away take no other chain along`, async () => {
    const chain = await members(0, 1);
    const far = ["-i", "veth1", "-n", lab.netns("far")];
    const other = await bpfman.attach(chain.id(0), hook, ...far, "-p", "1", ...(hook === "tc" ? ["-d", "egress"] : []));
    for (const member of [0, 1]) await attach(chain.id(member), member);
    // The far end of the cable goes with the near one.
    sh("ip", "-n", lab.name(), "link", "delete", "veth0");
    const [, first, second, ...more] = await linksNow();
    expect([second === undefined, more]).toEqual([false, []]);
    await bpfman.ok("dispatcher", "list");
    await bpfman.ok("detach", String(first?.id));
    // Nothing of the chain that has gone is left as if it lived; the other chain runs on.
    const lost = await linkNow(second?.id ?? 0);
    expect(lost.status).toMatchObject({ kernel: null, kernel_seen: false, pin_present: false });
    expect(lost.record).toMatchObject({ kernel_link_id: null, details: { nsid: 0, dispatcher_id: 0, revision: 0 } });
    expect(await bpfman.ok("list", "links")).toContain("(gone)");
    expect(inKernel("link", second?.kernel_link_id ?? 0)).toBe(false);
    expect((await dispatchersNow()).map((each) => each.interface)).toEqual(["veth1"]);
    expect((await programNow(chain.id(1))).record?.program_id).toBe(chain.id(1));
    sh("ip", "netns", "delete", lab.name("far"));
    await bpfman.ok("detach", String(other.record.id), String(second?.id));
    expect([await linksNow(), await dispatchersNow()]).toEqual([[], []]);
    await bpfman.ok("unload", String(chain.id(0)), String(chain.id(1)));
    await bpfman.expectNothingLeft();
  });
});
