/** `--netns` for each kind of network hook: interfaces that only exist there, odd paths, namespaces that go away. */
import { describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, readlinkSync, rmSync, statSync, writeFileSync } from "node:fs";
import { compileBpf } from "../objects/compile.ts";
import { executable, idOf } from "../labs/executable.ts";
import { cable, sh } from "../labs/kernel-lab.ts";
import { tcxAvailable } from "../labs/tcx-test.ts";

const bpfman = executable();
const net = cable();

const SOURCE = `
SEC("xdp") int on_xdp(struct xdp_md *ctx) { return 2; }
SEC("tc") int on_tc(struct __sk_buff *ctx) { return 0; }
SEC("tc") int on_tcx(struct __sk_buff *ctx) { return -1; }
`;
const KINDS = ["xdp", "tc", "tcx"] as const;
type Kind = (typeof KINDS)[number];

async function load(kind: Kind): Promise<number> {
  writeFileSync(bpfman.path("net.o"), compileBpf(SOURCE));
  const programs = await bpfman.load(bpfman.path("net.o"), "--programs", `${kind}:on_${kind}`);
  return idOf(programs, `on_${kind}`);
}

const words = (kind: Kind, iface: string, netns: string | null): string[] => [
  ...[kind, "--iface", iface, "--priority", "50"],
  ...(kind === "xdp" ? [] : ["--direction", "ingress"]),
  ...(netns === null ? [] : ["--netns", netns]),
];

/** The namespace of the test itself must be the same after everything, mistakes included. */
const ownNamespace = (): string => readlinkSync("/proc/self/ns/net");

for (const kind of KINDS) {
  const run = kind === "tcx" && !tcxAvailable ? test.skip : test;
  const reason = kind === "tcx" && !tcxAvailable ? " (skipped: this kernel has no TCX)" : "";

  describe(`${kind}${reason}`, () => {
    run("on an interface that is only there", async () => {
      const id = await load(kind);
      const before = ownNamespace();
      const here = await bpfman.refused(3, "INTERFACE_NOT_FOUND", "attach", String(id), ...words(kind, "veth0", null));
      expect(here.message).toBe('no interface "veth0"');
      const link = await bpfman.attach(id, ...words(kind, net.interface, net.netns));
      expect(link.record.details).toMatchObject({
        interface: "veth0",
        ifindex: net.ifindex,
        netns: net.netns,
        nsid: statSync(net.netns).ino,
      });
      expect(net.ping(2)).toBe(2);
      expect(ownNamespace()).toBe(before);
    });

    run("a path of any kind leads there: another name for the file, a process", async () => {
      const id = await load(kind);
      const other = bpfman.path("a namespace, elsewhere");
      writeFileSync(other, "");
      sh("mount", "--bind", net.netns, other);
      try {
        const link = await bpfman.attach(id, ...words(kind, net.interface, other));
        await bpfman.ok("detach", String(link.record.id));
      } finally {
        sh("umount", other);
        rmSync(other);
      }
    });

    run("what is wrong is named: path, kind of file, interface", async () => {
      const id = await load(kind);
      const attach = ["attach", String(id)];
      const before = ownNamespace();
      const missing = await bpfman.refused(3, "NETNS_NOT_FOUND", ...attach, ...words(kind, "veth0", "/run/netns/none"));
      expect(missing.message).toContain('"/run/netns/none"');
      mkdirSync(bpfman.path("directory"));
      for (const path of [bpfman.path("net.o"), bpfman.path("directory"), "/proc/self/ns/uts"]) {
        const error = await bpfman.refused(3, "NETNS_NOT_FOUND", ...attach, ...words(kind, "veth0", path));
        expect(error.message).toContain(path);
      }
      const iface = await bpfman.refused(3, "INTERFACE_NOT_FOUND", ...attach, ...words(kind, "vteh0", net.netns));
      expect(iface.message).toBe(`no interface "vteh0" in network namespace "${net.netns}"`);
      expect(iface.hint).toContain('did you mean "veth0"');
      expect((await bpfman.links()).length).toBe(0);
      expect(ownNamespace()).toBe(before);
    });

    run("a namespace that was deleted: list, get, detach and unload still work", async () => {
      const id = await load(kind);
      const name = `bpfman-gone-${process.pid}`;
      sh("ip", "netns", "add", name);
      sh("ip", "-n", name, "link", "add", "veth7", "type", "veth", "peer", "name", "veth8");
      sh("ip", "-n", name, "link", "set", "veth7", "up");
      const link = await bpfman.attach(id, ...words(kind, "veth7", `/run/netns/${name}`));
      sh("ip", "netns", "delete", name);
      expect((await bpfman.links()).map(({ id: linkId }) => linkId)).toEqual([link.record.id]);
      expect((await bpfman.json<{ record: { id: number } }>("get", "link", String(link.record.id))).record.id).toBe(
        link.record.id,
      );
      await bpfman.ok("detach", String(link.record.id));
      expect((await bpfman.links()).length).toBe(0);
      await bpfman.ok("unload", String(id));
    });

    run("an interface that was deleted, under a program that is then unloaded", async () => {
      const id = await load(kind);
      const netns = net.netns.slice("/run/netns/".length);
      sh("ip", "-n", netns, "link", "add", "veth7", "type", "veth", "peer", "name", "veth8");
      sh("ip", "-n", netns, "link", "set", "veth7", "up");
      await bpfman.attach(id, ...words(kind, "veth7", net.netns));
      sh("ip", "-n", netns, "link", "delete", "veth7");
      await bpfman.ok("unload", String(id));
      expect((await bpfman.links()).length).toBe(0);
    });
  });
}

test("the caller's own namespace may be named by its path", async () => {
  const id = await load("xdp");
  const own = `/proc/${process.pid}/ns/net`;
  const error = await bpfman.refused(3, "INTERFACE_NOT_FOUND", "attach", String(id), ...words("xdp", "none0", own));
  expect(error.message).toContain(own);
  expect(readFileSync("/proc/self/net/dev", "utf8")).toContain("lo:");
});
