/**
 * Programs on cgroups of the test's own, in a session that has ended when the events happen: each attach type counts exactly
 * those of its kind. What the kernel lacks must be refused by a sentence that says so.
 */
import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, statSync, symlinkSync } from "node:fs";
import { release } from "node:os";
import { resolve } from "node:path";
import { startClient } from "../../rpc/client/client.ts";
import { buildBpf } from "../../scripts/build-bpf.ts";
import type { LinkAnswer, LoadAnswer } from "../../src/domain/answer.ts";
import { openKernel } from "../../src/kernel/open-kernel.ts";
import { failureOf } from "../expect/failure.ts";
import { cgroupLab, cgroupOrderAvailable } from "../labs/cgroup-lab.ts";
import { executable, idOf, mapOf } from "../labs/executable.ts";
import { bpftool, counters, inKernel, sh, until } from "../labs/kernel-lab.ts";

buildBpf();
const OBJECT = resolve(import.meta.dir, "../../dist/bpf/fixtures/cgroup.bpf.o");
const version = release().replace(/-.*/, "");
const since = (linux: string): boolean => Bun.semver.satisfies(version, `>=${linux}`);
const HAS_UNIX = since("6.7.0");
const HAS_ORDER = cgroupOrderAvailable;

const bpfman = executable();
const lab = cgroupLab();

/** Each program of cgroup.bpf.c with the slot of its counter, the attach type, and its events in one round of the workload. */
const PROGRAMS: readonly (readonly [name: string, slot: number, attachType: string, events: number])[] = [
  ["on_ingress", 0, "cgroup_inet_ingress", 2],
  ["on_egress", 1, "cgroup_inet_egress", 2],
  ["on_create", 3, "cgroup_inet_sock_create", 6],
  ["on_release", 4, "cgroup_inet_sock_release", 6],
  ["on_post_bind4", 5, "cgroup_inet4_post_bind", 2],
  ["on_post_bind6", 6, "cgroup_inet6_post_bind", 1],
  ["on_bind4", 7, "cgroup_inet4_bind", 2],
  ["on_bind6", 8, "cgroup_inet6_bind", 1],
  ["on_connect4", 9, "cgroup_inet4_connect", 2],
  ["on_connect6", 10, "cgroup_inet6_connect", 1],
  ["on_sendmsg4", 11, "cgroup_udp4_sendmsg", 1],
  ["on_sendmsg6", 12, "cgroup_udp6_sendmsg", 1],
  ["on_recvmsg4", 13, "cgroup_udp4_recvmsg", 1],
  ["on_recvmsg6", 14, "cgroup_udp6_recvmsg", 1],
  ["on_getpeername4", 15, "cgroup_inet4_getpeername", 1],
  ["on_getpeername6", 16, "cgroup_inet6_getpeername", 1],
  ["on_getsockname4", 17, "cgroup_inet4_getsockname", 2],
  ["on_getsockname6", 18, "cgroup_inet6_getsockname", 1],
  ["on_getsockopt", 24, "cgroup_getsockopt", 1],
  ["on_setsockopt", 25, "cgroup_setsockopt", 1],
  ["on_sysctl", 26, "cgroup_sysctl", 1],
  ["on_device", 27, "cgroup_device", 1],
  ["on_sockops", 28, "cgroup_sock_ops", 1],
];
const UNIX: typeof PROGRAMS = [
  ["on_connect_unix", 19, "cgroup_unix_connect", 1],
  ["on_sendmsg_unix", 20, "cgroup_unix_sendmsg", 1],
  ["on_recvmsg_unix", 21, "cgroup_unix_recvmsg", 1],
  ["on_getpeername_unix", 22, "cgroup_unix_getpeername", 1],
  ["on_getsockname_unix", 23, "cgroup_unix_getsockname", 1],
];

interface KernelLink {
  readonly id: number;
  readonly prog_id: number;
}

/** A session that has ended when this is back: nothing but the pins holds what it made. */
async function inSession<T>(work: (client: Awaited<ReturnType<typeof startClient>>) => Promise<T>): Promise<T> {
  const [command = "", ...words] = bpfman.command("rpc");
  const client = await startClient({ command: [command, ...words] });
  try {
    return await work(client);
  } finally {
    await client.dispose();
  }
}

const load = (...names: readonly string[]): Promise<LoadAnswer["programs"]> =>
  bpfman.load(OBJECT, "--programs", ...names, "-a", "net");

test("every attach type counts its events, and those alone, until it is detached", async () => {
  const kinds = HAS_UNIX ? [...PROGRAMS, ...UNIX] : PROGRAMS;
  const programs = await load(...kinds.map(([name]) => name));
  const map = mapOf(programs, "events");
  const [cgroup, other] = [lab.make("all"), lab.make("other")];
  const links = await inSession(async (client) => {
    const made: LinkAnswer[] = [];
    for (const [name] of kinds) {
      made.push(
        await client.call("link/attach", { programId: idOf(programs, name), attach: { kind: "cgroup", cgroup } }),
      );
    }
    return made;
  });
  const cgroup_id = statSync(cgroup).ino;
  const inList = new Map((bpftool("link") as KernelLink[]).map((link) => [link.id, link]));
  for (const [index, [, , attach_type]] of kinds.entries()) {
    const { record, status } = links[index] as LinkAnswer;
    expect(record.details).toEqual({ cgroup, cgroup_id, attach_type, priority: 1000, position: 0 });
    expect(status.kernel).toMatchObject({ link_type: "cgroup", attach_type, cgroup_id });
    expect(inList.get(record.kernel_link_id ?? 0)).toMatchObject({ prog_id: record.program_id, cgroup_id });
  }
  const expected = new Map(kinds.map(([, slot]) => [slot, 0]));
  const expectCounted = (rounds: number, attached: typeof PROGRAMS) => {
    for (const [, slot, , events] of attached) expected.set(slot, (expected.get(slot) ?? 0) + events * rounds);
    const all = counters(map);
    expect(kinds.map(([name, slot]) => [name, all[slot]])).toEqual(
      kinds.map(([name, slot]) => [name, expected.get(slot)]),
    );
  };
  await lab.run(cgroup, 3);
  expectCounted(3, kinds);
  await lab.run(other, 1);
  expectCounted(0, []);

  const half = kinds.filter((_, index) => index % 2 === 0);
  const linkOf = ([name]: (typeof PROGRAMS)[number]) =>
    links.find(({ record }) => record.program_id === idOf(programs, name))?.record as LinkAnswer["record"];
  const detach = async (some: typeof PROGRAMS) => {
    await inSession(async (client) => {
      for (const kind of some) await client.call("link/detach", { linkId: linkOf(kind).id });
    });
    const left = (bpftool("link") as KernelLink[]).map(({ id }) => id);
    expect(some.filter((kind) => left.includes(linkOf(kind).kernel_link_id ?? 0))).toEqual([]);
    expect(some.filter((kind) => existsSync(linkOf(kind).pin_path ?? ""))).toEqual([]);
  };
  await detach(half);
  await lab.run(cgroup, 2);
  expectCounted(
    2,
    kinds.filter((kind) => !half.includes(kind)),
  );
  await detach(kinds.filter((kind) => !half.includes(kind)));
  await lab.run(cgroup, 1);
  expectCounted(0, []);
  expect(sh("bpftool", "-j", "cgroup", "show", cgroup).trim()).toBe("");
});

test("in both grammars, as text; a program also sees the processes of the cgroups below", async () => {
  const programs = await load("cgroup_skb:on_either");
  const id = String(idOf(programs, "on_either"));
  const cgroup = lab.make("text");
  await bpfman.ok("attach", id, "cgroup", "--cgroup", cgroup, "--direction", "egress", "--priority", "7");
  const shown = await bpfman.ok("get", "link", "1");
  for (const fact of ["cgroup_skb", cgroup, String(statSync(cgroup).ino), "cgroup_inet_egress", " 7 "]) {
    expect(shown).toContain(fact);
  }
  expect(await bpfman.ok("list", "links")).toContain(`${cgroup} cgroup_inet_egress pos-0`);
  const twice = await bpfman.refused(1, "ALREADY_ATTACHED", "link", "attach", "cgroup", id, cgroup, "-d", "egress");
  expect(twice.message).toBe(`program ${id} is already attached to cgroup "${cgroup}" as link 1`);
  // Another name for it; the link has its own.
  symlinkSync(cgroup, bpfman.path("named"));
  expect(await bpfman.ok("link", "attach", "cgroup", id, bpfman.path("named"), "-d", "ingress")).toContain(cgroup);
  await lab.run(lab.make("text/below"), 1);
  expect(counters(mapOf(programs, "events"))[2]).toBe(4);
  const missing = await bpfman.refused(1, "INVALID_ATTACH", "attach", id, "cgroup", "-c", cgroup);
  expect(missing.message).toContain("give its direction");
});

/** What another tool does with a program of its own, which keeps its place. */
function attachOther(cgroup: string, ...flags: readonly string[]): void {
  const pin = `${bpfman.runtimeDir}/fs/other`;
  sh("bpftool", "prog", "load", OBJECT.replace("cgroup.bpf.o", "cgroup_other.bpf.o"), pin);
  sh("bpftool", "cgroup", "attach", cgroup, "connect4", "pinned", pin, ...flags);
  sh("rm", pin);
}

test(`the order is that of priority, ${HAS_ORDER ? "beside others" : "or the attach is refused"}; then that of the attaches`, async () => {
  const ORDER = 40;
  const programs = await load("first", "second", "third");
  const cgroup = lab.make("order");
  const attach = (name: string, priority: string) =>
    bpfman.attach(idOf(programs, name), "cgroup", "-c", cgroup, "-p", priority);
  attachOther(cgroup, "multi");
  await attach("second", "20");
  if (HAS_ORDER) {
    await attach("first", "10");
  } else {
    const id = String(idOf(programs, "first"));
    const refused = await bpfman.refused(1, "KERNEL_UNSUPPORTED", "attach", id, "cgroup", "-c", cgroup, "-p", "10");
    expect(refused.message).toBe("attach to a cgroup with priority 10, before link 1 with 20: this needs Linux 6.17");
  }
  await attach("third", "20");
  await lab.run(cgroup, 1);
  expect(counters(mapOf(programs, "events"))[ORDER]).toBe(HAS_ORDER ? 123123 : 2323);
  const ids: { id: number }[] = bpftool("cgroup", "show", cgroup);
  expect(ids.map(({ id }) => programs.find(({ record }) => record?.program_id === id)?.record?.meta.name)).toEqual(
    HAS_ORDER ? [undefined, "first", "second", "third"] : [undefined, "second", "third"],
  );
});

describe("refused", () => {
  const attachRefused = (exit: number, code: Parameters<typeof bpfman.refused>[1], id: number, cgroup: string) =>
    bpfman.refused(exit, code, "attach", String(id), "cgroup", "--cgroup", cgroup);

  test("what is no cgroup of version 2, with what is near", async () => {
    const cgroup = lab.make("near");
    const first = bpfman.path("version1");
    for (const name of ["directory", "version1"]) mkdirSync(bpfman.path(name));
    sh("mkfifo", bpfman.path("fifo"));
    const near = expect.stringContaining(`"${cgroup}"`);
    const roots = expect.stringContaining(lab.root);
    const cases: readonly (readonly [path: string, reason: string, hint: unknown])[] = [
      [`${cgroup}x`, "there is no such directory", near],
      // As systemd names them.
      [cgroup.slice(lab.root.length), "there is no such directory", near],
      [bpfman.path("directory"), "the directory is not a cgroup", roots],
      [bpfman.path("fifo"), "it is not a directory", roots],
      [`${cgroup}/cgroup.procs`, "it is not a directory", roots],
      [first, "it is a cgroup of version 1, which takes no programs", roots],
    ];
    // A hierarchy with a name needs no controller.
    sh("mount", "-t", "cgroup", "-o", `none,name=bpfman${process.pid}`, "none", first);
    try {
      for (const [path, reason, hint] of cases) {
        const failure = failureOf(() => openKernel().cgroup(path));
        const message = `open cgroup "${path}": ${reason}`;
        expect(failure).toMatchObject({ code: "CGROUP_NOT_FOUND", message, hint });
      }
    } finally {
      sh("umount", first);
    }
    const id = idOf(await load("sockops:on_sockops"), "on_sockops");
    await attachRefused(3, "CGROUP_NOT_FOUND", id, `${cgroup}x`);
    expect(await bpfman.links()).toEqual([]);
  });

  test("beside a program that was attached for itself alone", async () => {
    const programs = await load("cgroup_sock_addr:on_connect4");
    const above = lab.make("alone");
    const below = lab.make("alone/below");
    attachOther(above);
    for (const cgroup of [above, below]) {
      const { message } = await attachRefused(5, "HOOK_BUSY", idOf(programs, "on_connect4"), cgroup);
      expect(message).toContain(`is attached to "${above}" without BPF_F_ALLOW_MULTI`);
    }
  });

  test.skipIf(HAS_UNIX)(
    `what this kernel does not know${HAS_UNIX ? ` (skipped: Linux ${version} knows all)` : ""}`,
    async () => {
      const words = ["load", "file", "--path", OBJECT, "--programs", "cgroup_sock_addr:on_connect_unix"];
      const { hint } = await bpfman.refused(1, "LOAD_FAILED", ...words);
      expect(hint).toContain('"bpfman inspect OBJECT" says which version of Linux has them');
      expect(await bpfman.ok("inspect", OBJECT)).toContain("cgroup programs for Unix sockets (Linux 6.7)");
    },
  );
});

test("a link that another tool detached is said to be that, and its cgroup not to be gone", async () => {
  const programs = await load("cgroup_sysctl:on_sysctl");
  const cgroup = lab.make("detached");
  const { record } = await bpfman.attach(idOf(programs, "on_sysctl"), "cgroup", "-c", cgroup);
  sh("bpftool", "link", "detach", "id", String(record.kernel_link_id));
  expect(await bpfman.ok("list", "links")).toContain(`${cgroup} cgroup_sysctl (detached)`);
  const ours = async () => (await bpfman.findings()).map(({ code, evidence }) => [code, evidence.link_id]);
  expect(await ours()).toEqual([["link-detached", record.id]]);
  expect((await bpfman.run("repair")).code).toBe(0);
  expect([await ours(), await bpfman.links()]).toEqual([[], []]);
});

test("a removed cgroup is gone: in lists, for doctor, and after repair", async () => {
  const programs = await load("cgroup_sysctl:on_sysctl", "cgroup_device:on_device");
  const [cgroup, other] = [lab.make("removed"), lab.make("kept")];
  const { record } = await bpfman.attach(idOf(programs, "on_sysctl"), "cgroup", "-c", cgroup);
  await bpfman.attach(idOf(programs, "on_device"), "cgroup", "-c", other);
  lab.remove(cgroup);
  const link = () => bpftool("link", "show", "id", String(record.kernel_link_id));
  // The kernel takes the programs off once nothing refers to the cgroup any more.
  await until(() => link().cgroup_id === 0);
  expect(await bpfman.ok("list", "links")).toContain(`${cgroup} cgroup_sysctl (cgroup gone)`);
  const { status }: LinkAnswer = await bpfman.json("get", "link", String(record.id));
  expect(status.attachment).toEqual({ present: false, reason: "cgroup-gone", interface: null });
  expect(status.kernel).toMatchObject({ cgroup_id: 0 });
  const ours = async () => (await bpfman.findings()).filter(({ severity }) => severity === "error");
  expect((await ours()).map(({ code, evidence }) => [code, evidence.link_id])).toEqual([["target-gone", record.id]]);
  expect((await bpfman.run("repair")).code).toBe(0);
  expect(await ours()).toEqual([]);
  expect((await bpfman.links()).map(({ id }) => id)).toEqual([record.id + 1]);
  expect(inKernel("link", record.kernel_link_id ?? 0)).toBe(false);
});
