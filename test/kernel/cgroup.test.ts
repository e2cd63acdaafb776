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

test("a program on a cgroup sees the processes of those below", async () => {
  const programs = await load("cgroup_sock_addr:on_connect4");
  const above = lab.make("above");
  const below = lab.make("above/below");
  await bpfman.attach(idOf(programs, "on_connect4"), "cgroup", "--cgroup", above);
  await lab.run(below, 2);
  expect(counters(mapOf(programs, "events"))[9]).toBe(4);
});

test("in both grammars, as text", async () => {
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
  await lab.run(cgroup, 1);
  expect(counters(mapOf(programs, "events"))[2]).toBe(4);
  const missing = await bpfman.refused(1, "INVALID_ATTACH", "attach", id, "cgroup", "-c", cgroup);
  expect(missing.message).toContain("give its direction");
});

describe("order", () => {
  const ORDER = 40;
  const attach = (programs: LoadAnswer["programs"], name: string, cgroup: string, priority: string) =>
    bpfman.attach(idOf(programs, name), "cgroup", "-c", cgroup, "-p", priority);

  test("in which they were attached, at one priority", async () => {
    const programs = await load("second", "first");
    const cgroup = lab.make("order");
    await attach(programs, "second", cgroup, "1000");
    await attach(programs, "first", cgroup, "1000");
    await lab.run(cgroup, 1);
    expect(counters(mapOf(programs, "events"))[ORDER]).toBe(2121);
  });

  test(`of priority (${HAS_ORDER ? "by the kernel" : "refused where that would take another kernel"})`, async () => {
    const programs = await load("first", "second", "third");
    const cgroup = lab.make("order");
    // Somebody else's program keeps its place.
    const pin = `${bpfman.runtimeDir}/fs/other`;
    sh("bpftool", "prog", "load", OBJECT.replace("cgroup.bpf.o", "cgroup_other.bpf.o"), pin);
    sh("bpftool", "cgroup", "attach", cgroup, "connect4", "pinned", pin, "multi");
    sh("rm", pin);
    await attach(programs, "second", cgroup, "20");
    if (HAS_ORDER) {
      await attach(programs, "first", cgroup, "10");
    } else {
      const id = String(idOf(programs, "first"));
      const refused = await bpfman.refused(1, "KERNEL_UNSUPPORTED", "attach", id, "cgroup", "-c", cgroup, "-p", "10");
      expect(refused.message).toBe("attach to a cgroup with priority 10, before link 1 with 20: this needs Linux 6.17");
    }
    await attach(programs, "third", cgroup, "30");
    await lab.run(cgroup, 1);
    expect(counters(mapOf(programs, "events"))[ORDER]).toBe(HAS_ORDER ? 123123 : 2323);
    const ids: { id: number }[] = bpftool("cgroup", "show", cgroup);
    expect(ids.map(({ id }) => programs.find(({ record }) => record?.program_id === id)?.record?.meta.name)).toEqual(
      HAS_ORDER ? [undefined, "first", "second", "third"] : [undefined, "second", "third"],
    );
  });
});

describe("refused", () => {
  const attachRefused = (exit: number, code: Parameters<typeof bpfman.refused>[1], id: number, cgroup: string) =>
    bpfman.refused(exit, code, "attach", String(id), "cgroup", "--cgroup", cgroup);

  test("what is no cgroup, with what is near", async () => {
    const id = idOf(await load("sockops:on_sockops"), "on_sockops");
    const cgroup = lab.make("near");
    mkdirSync(bpfman.path("directory"));
    sh("mkfifo", bpfman.path("fifo"));
    const cases: readonly (readonly [path: string, reason: string])[] = [
      [`${cgroup}x`, "there is no such directory"],
      [bpfman.path("directory"), "the directory is not a cgroup"],
      [bpfman.path("fifo"), "it is not a directory"],
      [`${cgroup}/cgroup.procs`, "it is not a directory"],
      // As systemd names them.
      [cgroup.slice(lab.root.length), "there is no such directory"],
    ];
    for (const [path, reason] of cases) {
      const { message, hint } = await attachRefused(3, "CGROUP_NOT_FOUND", id, path);
      expect(message).toBe(`open cgroup "${path}": ${reason}`);
      if (path.includes("near") && !path.endsWith(".procs")) expect(hint).toContain(`"${cgroup}"`);
      else expect(hint).toContain(lab.root);
    }
    expect(await bpfman.links()).toEqual([]);
  });

  test("a cgroup of version 1", async () => {
    const id = idOf(await load("sockops:on_sockops"), "on_sockops");
    const first = bpfman.path("version1");
    mkdirSync(first);
    // A hierarchy with a name needs no controller.
    sh("mount", "-t", "cgroup", "-o", `none,name=bpfman${process.pid}`, "none", first);
    try {
      const { message, hint } = await attachRefused(3, "CGROUP_NOT_FOUND", id, first);
      expect(message).toBe(`open cgroup "${first}": it is a cgroup of version 1, which takes no programs`);
      expect(hint).toContain(lab.root);
    } finally {
      sh("umount", first);
    }
  });

  test("beside a program that was attached for itself alone", async () => {
    const programs = await load("cgroup_sock_addr:on_connect4");
    const above = lab.make("alone");
    const below = lab.make("alone/below");
    const pin = `${bpfman.runtimeDir}/fs/other`;
    sh("bpftool", "prog", "load", OBJECT.replace("cgroup.bpf.o", "cgroup_other.bpf.o"), pin);
    sh("bpftool", "cgroup", "attach", above, "connect4", "pinned", pin);
    sh("rm", pin);
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
