import type { XdpMode } from "../../src/domain/config.ts";
import { expect, test } from "bun:test";
import { resolve } from "node:path";
import { openKernel } from "../../src/kernel/open-kernel.ts";
import type { InterfaceHook } from "../../src/platform/kernel.ts";
import { pinAt } from "../objects/bpf-fixture.ts";
import { BRIEF } from "../labs/brief.ts";
import { loadMembers, wire } from "../labs/chain-lab.ts";
import { failureOf } from "../expect/failure.ts";
import { bpftool, sh, temporaryBpffs, until } from "../labs/kernel-lab.ts";
import { OWN_MULTIARCH } from "../../scripts/debian.ts";

const bpffs = temporaryBpffs();
const lab = wire();
const kernel = openKernel();

const OBJECT = resolve(import.meta.dir, "../../dist/bpf/fixtures/chain.bpf.o");
const SWAPS = BRIEF ? 50 : 200;
const PASS = 2;
const DROP = 1;
const hook = (mode: XdpMode = "drv"): InterfaceHook & { mode: XdpMode } => ({
  netns: lab.netns(),
  ifindex: lab.ifindex,
  mode,
});
/** Two plain programs, `xdp_member_0` and `xdp_member_1`. */
const plain = () =>
  loadMembers(kernel, {
    fixture: "chain",
    programs: ["xdp:xdp_member_0", "xdp:xdp_member_1"],
    directory: bpffs.path,
  });

for (const mode of ["drv", "skb"] as const) {
  test(`a program runs in mode ${mode} for as long as its link is there`, async () => {
    const members = await plain();
    expect(kernel.xdpHolder(hook())).toBeNull();
    const [first = ""] = members.pins;
    members.setVerdicts({ 0: PASS });
    const link = kernel.attachXdp(pinAt(kernel, first), hook(mode));
    expect(kernel.xdpHolder(hook())).toEqual({ program: members.programs[0]! as never, link: link.id, mode });
    expect(kernel.link(link.id)).toMatchObject({ programId: members.programs[0]!, type: 6 });
    const [shown] = JSON.parse(sh("ip", "-j", "-n", lab.name(), "link", "show", "veth0"));
    expect(shown.xdp).toMatchObject({ mode: mode === "drv" ? 1 : 2, prog: { id: members.programs[0] } });
    link.pin(bpffs.path("link"));
    link.close();
    lab.send(5);
    await until(() => members.packets()[0] === 5 && lab.received() === 5);

    members.setVerdicts({ 0: DROP });
    lab.send(5);
    await until(() => members.packets()[0] === 10);
    expect(lab.received()).toBe(5);

    const last = kernel.openPin(bpffs.path("link"));
    bpffs.unpin("link");
    last?.close();
    expect(kernel.xdpHolder(hook())).toBeNull();
    lab.send(5);
    await until(() => lab.received() === 10);
    expect(members.packets()[0]).toBe(10);
  });
}

test("swap puts another program in its place, and only of the one that is there", async () => {
  const members = await plain();
  const [first = "", second = ""] = members.pins;
  members.setVerdicts({ 0: PASS, 1: PASS });
  const link = kernel.attachXdp(pinAt(kernel, first), hook());
  link.pin(bpffs.path("link"));
  kernel.swapProgram(pinAt(kernel, bpffs.path("link")), { old: pinAt(kernel, first), next: pinAt(kernel, second) });
  lab.send(4);
  await until(() => members.packets()[1] === 4);
  expect(members.packets()[0]).toBe(0);
  expect(bpftool("link", "show", "id", String(link.id)).prog_id).toBe(members.programs[1]);

  const failure = failureOf(() =>
    kernel.swapProgram(pinAt(kernel, bpffs.path("link")), { old: pinAt(kernel, first), next: pinAt(kernel, first) }),
  );
  expect(failure).toMatchObject({
    code: "STATE_CONFLICT",
    sys: { name: "EPERM" },
    details: { runs: members.programs[1], expected: members.programs[0] },
  });
  expect(kernel.xdpHolder(hook())?.program as number).toBe(members.programs[1]!);
  for (const [pin, programs] of [
    ["nothing", { old: second, next: first }],
    ["link", { old: second, next: bpffs.path("nothing") }],
    ["link", { old: second, next: bpffs.path("link") }],
    ["xdp_member_0", { old: second, next: first }],
  ] as const) {
    const { old, next } = {
      old: pinAt(kernel, programs.old),
      next: { ...pinAt(kernel, programs.next), kind: "program" } as const,
    };
    const link = { ...pinAt(kernel, bpffs.path(pin)), kind: "link" } as const;
    expect(failureOf(() => kernel.swapProgram(link, { old, next })).code).toBe("STATE_CONFLICT");
  }
  link.close();
  const last = kernel.openPin(bpffs.path("link"));
  bpffs.unpin("link");
  last?.close();
});

test(`${SWAPS} swaps under a flood lose nothing`, async () => {
  const members = await plain();
  const [first = "", second = ""] = members.pins;
  members.setVerdicts({ 0: PASS, 1: PASS });
  const link = kernel.attachXdp(pinAt(kernel, first), hook());
  link.pin(bpffs.path("link"));
  const flood = await lab.flood();
  for (let swap = 0; swap < SWAPS; swap++) {
    const [old, next] = swap % 2 === 0 ? [first, second] : [second, first];
    kernel.swapProgram(pinAt(kernel, bpffs.path("link")), { old: pinAt(kernel, old), next: pinAt(kernel, next) });
    await Bun.sleep(1);
  }
  await flood.stop();
  const [a = 0, b = 0] = members.packets();
  expect(Math.min(a, b)).toBeGreaterThan(SWAPS / 2);
  expect(a + b).toBe(lab.sent());
  expect(lab.received()).toBe(lab.sent());
  link.close();
  bpffs.unpin("link");
  await until(() => kernel.link(link.id) === null);
});

test("a hook held through netlink is said to be so, and left alone", async () => {
  const members = await plain();
  sh("ip", "-n", lab.name(), "link", "set", "dev", "veth0", "xdp", "object", OBJECT, "program", "xdp_member_5");
  const holder = kernel.xdpHolder(hook());
  expect(holder).toMatchObject({ link: null, mode: "drv" });
  for (const mode of ["drv", "skb"] as const) {
    const failure = failureOf(() => kernel.attachXdp(pinAt(kernel, members.pins[0]!), hook(mode)));
    expect(failure).toMatchObject({
      code: "HOOK_BUSY",
      details: { program: holder!.program, name: "xdp_member_5", link: null, mode: "drv" },
      sys: { name: mode === "drv" ? "EBUSY" : "EEXIST" },
    });
    expect(failure.message).toContain(`program ${holder!.program} "xdp_member_5"`);
    expect(failure.hint).toContain("ip link set");
  }
  expect(kernel.xdpHolder(hook())).toEqual(holder);
});

test("a hook held by another link, or by another dispatcher, is said to be so", async () => {
  const members = await plain();
  const link = kernel.attachXdp(pinAt(kernel, members.pins[1]!), hook());
  const failure = failureOf(() => kernel.attachXdp(pinAt(kernel, members.pins[0]!), hook()));
  expect(failure).toMatchObject({ code: "HOOK_BUSY", details: { program: members.programs[1], link: link.id } });
  expect(failure.hint).toContain(`bpftool link show id ${link.id}`);
  link.close();
  const theirs = `/usr/lib/${OWN_MULTIARCH}/bpf/xdp-dispatcher.o`;
  sh(
    "ip",
    "-n",
    lab.name(),
    "link",
    "set",
    "dev",
    "veth0",
    "xdpgeneric",
    "object",
    theirs,
    "program",
    "xdp_dispatcher",
  );
  expect(failureOf(() => kernel.attachXdp(pinAt(kernel, members.pins[0]!), hook("skb")))).toMatchObject({
    code: "HOOK_BUSY",
    message: expect.stringContaining("a dispatcher of xdp-loader or of another bpfman"),
  });
});

test("what a mode, an interface, or a namespace lacks", async () => {
  const members = await plain();
  const [pin = ""] = members.pins;
  sh("ip", "-n", lab.name(), "link", "add", "bridge0", "type", "bridge");
  const [{ ifindex }] = JSON.parse(sh("ip", "-j", "-n", lab.name(), "link", "show", "bridge0"));
  expect(failureOf(() => kernel.attachXdp(pinAt(kernel, pin), { ...hook("drv"), ifindex })).code).toBe(
    "KERNEL_UNSUPPORTED",
  );
  expect(failureOf(() => kernel.attachXdp(pinAt(kernel, pin), hook("hw"))).code).toBe("KERNEL_UNSUPPORTED");
  for (const [where, code] of [
    [{ ifindex: 4_000_000 }, "INTERFACE_NOT_FOUND"],
    [{ netns: "/run/netns/bpfman-none" }, "NETNS_NOT_FOUND"],
    [{ netns: "/etc/passwd" }, "NETNS_NOT_FOUND"],
  ] as const) {
    expect(failureOf(() => kernel.attachXdp(pinAt(kernel, pin), { ...hook(), ...where })).code).toBe(code);
    expect(kernel.xdpHolder({ ...hook(), ...where })).toBeNull();
  }
  expect(failureOf(() => kernel.attachXdp(pinAt(kernel, bpffs.path("nothing")), hook())).code).toBe("STATE_CONFLICT");
});

test("a link of the same program on an interface of the same number elsewhere is not taken for the holder", async () => {
  const members = await plain();
  const [pin = ""] = members.pins;
  const elsewhere = `${lab.name()}-other`;
  sh("ip", "netns", "add", elsewhere);
  try {
    const peer = ["type", "veth", "peer", "name", "veth1"];
    sh("ip", "-n", elsewhere, "link", "add", "name", "veth0", "index", String(lab.ifindex), ...peer);
    const other = { ...hook(), netns: `/run/netns/${elsewhere}` };
    const link = kernel.attachXdp(pinAt(kernel, pin), other);
    expect(kernel.xdpHolder(other)?.link).toBe(link.id);
    sh("ip", "-n", lab.name(), "link", "set", "dev", "veth0", "xdpdrv", "pinned", pin);
    const holder = kernel.xdpHolder(hook());
    expect(holder).toEqual({ program: members.programs[0]! as never, link: null, mode: "drv" });
    // Asking has changed nothing on either.
    expect(kernel.xdpHolder(hook())).toEqual(holder);
    expect(kernel.xdpHolder(other)?.link).toBe(link.id);
    link.close();
  } finally {
    sh("ip", "netns", "delete", elsewhere);
  }
});

test("a link whose interface has gone", async () => {
  const members = await plain();
  const [first = "", second = ""] = members.pins;
  const link = kernel.attachXdp(pinAt(kernel, first), hook());
  link.pin(bpffs.path("link"));
  sh("ip", "-n", lab.name(), "link", "delete", "veth0");
  expect(kernel.xdpHolder(hook())).toBeNull();
  const failure = failureOf(() =>
    kernel.swapProgram(pinAt(kernel, bpffs.path("link")), { old: pinAt(kernel, first), next: pinAt(kernel, second) }),
  );
  expect(failure).toMatchObject({ code: "INTERFACE_NOT_FOUND", sys: { name: "ENOLINK" } });
  link.close();
  bpffs.unpin("link");
  await until(() => kernel.link(link.id) === null);
});
