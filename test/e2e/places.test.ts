/** Places of links that change under them: interfaces, namespaces, filters and files, as ip, tc and mv change them. */
import { beforeEach, describe, expect, test } from "bun:test";
import {
  copyFileSync,
  mkdtempSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { buildBpf } from "../../scripts/build-bpf.ts";
import type { DispatcherListAnswer, LinkAnswer } from "../../src/domain/answer.ts";
import { cleanUpAfterEach } from "../labs/clean-up.ts";
import { executable, idOf } from "../labs/executable.ts";
import { bpftool, cable, deleteNamespaces, ipBatch, sh, until } from "../labs/kernel-lab.ts";
import { tcxTest } from "../labs/tcx-test.ts";
import { USER_FUNCTION, workload } from "../labs/workload.ts";

buildBpf();
const OBJECT = resolve(import.meta.dir, "../../dist/bpf/fixtures/kinds.bpf.o");
const bpfman = executable();
const work = workload();
const wire = cable();
const LONG = "enp0s31f6verylongaltname";

let ip: (...lines: string[]) => void = () => {};
let where: string[] = [];
beforeEach(() => {
  const name = wire.netns.slice("/run/netns/".length);
  ip = (...lines) => ipBatch(["-n", name], ...lines);
  where = ["-n", wire.netns, "-p", "50"];
});

/** Loads the program of that kind, and attaches it. */
async function attach(kind: "xdp" | "tc" | "tcx", iface = wire.interface): Promise<LinkAnswer> {
  const name = `count_${kind}`;
  const program = idOf(await bpfman.load(OBJECT, "--programs", `${kind}:${name}`), name);
  const direction = kind === "xdp" ? [] : ["-d", "ingress"];
  return bpfman.attach(program, kind, "-i", iface, ...direction, ...where);
}

const get = (link: LinkAnswer): Promise<LinkAnswer> => bpfman.json("get", "link", String(link.record.id));
const text = (link: LinkAnswer): Promise<string> => bpfman.ok("get", "link", String(link.record.id));
/** The line of a link in the list. */
async function row({ record }: LinkAnswer): Promise<string> {
  const lines = (await bpfman.ok("list", "links")).split("\n");
  return lines.find((line) => line.includes(` ${record.program_id} `) && line.includes(` ${record.id} `)) ?? "";
}
async function dispatchers(): Promise<DispatcherListAnswer["dispatchers"]> {
  return (await bpfman.json<DispatcherListAnswer>("dispatcher", "list")).dispatchers;
}
/** The noun-verb grammar's JSON has the keys that it has elsewhere, whatever has gone. */
async function expectNounKeys(link: LinkAnswer): Promise<void> {
  const noun = await bpfman.json<LinkAnswer>("link", "get", String(link.record.id));
  expect(Object.keys(noun.status)).toEqual(["kernel", "kernel_seen", "pin_present", "function_name"]);
}

test("an interface is found by its alternative names, and shown by its own", async () => {
  ip(`link property add dev ${wire.interface} altname ${LONG} altname wan0`);
  for (const [kind, name] of [
    ["xdp", LONG],
    ["tc", "wan0"],
  ] as const) {
    const link = await attach(kind, name);
    expect(link.record.details).toMatchObject({ interface: wire.interface, ifindex: wire.ifindex });
    expect(await row(link)).toContain(`${wire.interface} `);
  }
  const shown = JSON.parse(
    sh("ip", "-n", wire.netns.slice("/run/netns/".length), "-j", "link", "show", wire.interface),
  );
  expect(shown[0].xdp.prog.id).toBeGreaterThan(0);
  const { programs } = await bpfman.json<{ programs: { program_id: number }[] }>("list", "programs");
  const words = ["attach", String(programs[0]?.program_id), "xdp", ...where] as const;
  const near = await bpfman.refused(3, "INTERFACE_NOT_FOUND", ...words, "-i", `${LONG}x`);
  expect(near.hint).toContain(LONG);
  await bpfman.refused(2, "INVALID_REQUEST", ...words, "-i", "x".repeat(128));
});

describe("an interface", () => {
  for (const kind of ["xdp", "tc", "tcx"] as const) {
    const run = kind === "tcx" ? tcxTest : test;
    run(`that went is said to be gone, and stays so when there is another of its name: ${kind}`, async () => {
      const old = await attach(kind);
      expect(old.status.attachment).toEqual({ present: true, reason: null, interface: wire.interface });
      ip(`link delete ${wire.interface}`);
      const gone = { present: false, reason: "interface-gone", interface: null };
      expect((await get(old)).status.attachment).toEqual(gone as never);
      expect((await bpfman.links())[0]?.attachment).toEqual(gone as never);
      expect(await row(old)).toContain(`${wire.interface}${kind === "xdp" ? "" : " ingress"} (gone)`);
      expect(await text(old)).toContain(`${wire.interface} (gone)`);
      if (kind !== "tcx") {
        expect(await bpfman.ok("dispatcher", "list")).toContain(`${wire.interface} (gone)`);
        expect(Object.keys((await dispatchers())[0] ?? {})).not.toContain("attachment");
      }
      await expectNounKeys(old);
      ip(`link add ${wire.interface} index 99 type veth peer name other0`);
      const anew = await attach(kind);
      expect(await row(anew)).toContain("pos-0");
      expect(await row(old)).toContain("(gone)");
      await bpfman.ok("detach", String(old.record.id), String(anew.record.id));
    });

    run(`that has another name is shown by that: ${kind}`, async () => {
      const link = await attach(kind);
      ip(`link set ${wire.interface} down`, `link set ${wire.interface} name lan0`);
      expect((await get(link)).status.attachment).toEqual({ present: true, reason: null, interface: "lan0" });
      expect(await row(link)).toContain("lan0 ");
      expect(await row(link)).not.toContain(wire.interface);
      expect(await text(link)).toContain(`lan0 (was ${wire.interface})`);
      if (kind !== "tcx") expect(await bpfman.ok("dispatcher", "list")).toContain(" lan0 ");
      if (kind !== "tcx") return;
      // A second one finds the hook by the new name.
      const second = await attach(kind, "lan0");
      expect(await row(second)).toContain("lan0 ");
    });
  }

  for (const kind of ["xdp", "tcx"] as const) {
    const run = kind === "tcx" ? tcxTest : test;
    run(`from which another tool took the link is not said to be gone: ${kind}`, async () => {
      const link = await attach(kind);
      const shown: { id: number; prog_id: number }[] = bpftool("link", "show");
      const [kernel] = shown.filter(({ prog_id }) => prog_id === link.record.program_id);
      sh("bpftool", "link", "detach", "id", String(kernel?.id));
      const attachment = { present: false, reason: "detached", interface: null };
      expect((await get(link)).status.attachment).toEqual(attachment as never);
      expect((await bpfman.links())[0]?.attachment).toEqual(attachment as never);
      expect(await row(link)).toContain(`${wire.interface}${kind === "xdp" ? "" : " ingress"} (detached)`);
      expect((await bpfman.findings()).map(({ code }) => code)).toEqual([
        kind === "xdp" ? "hook-empty" : "link-detached",
      ]);
      expect((await bpfman.run("repair")).code).toBe(0);
      expect(await bpfman.findings()).toEqual([]);
      if (kind === "xdp") expect(await row(link)).toContain("pos-0");
      else expect(await bpfman.links()).toEqual([]);
    });
  }

  test("that was moved to another namespace still has its program", async () => {
    const link = await attach("xdp");
    const kernel = bpftool("link", "show").find(({ type }: { type: string }) => type === "xdp");
    const elsewhere = `${wire.netns.slice("/run/netns/".length)}-else`;
    sh("ip", "netns", "add", elsewhere);
    try {
      ip(`link set ${wire.interface} netns ${elsewhere}`);
      expect(kernel.id).toBeGreaterThan(0);
      expect((await get(link)).status.attachment).toEqual({ present: true, reason: null, interface: null });
    } finally {
      deleteNamespaces(elsewhere);
    }
    expect((await get(link)).status.attachment?.reason).toBe("interface-gone");
  });
});

describe("a namespace that was deleted", () => {
  const successors: string[] = [];
  const SUCCESSOR_MS = 20_000;
  cleanUpAfterEach(() => deleteNamespaces(...successors.splice(0)));

  for (const kind of ["xdp", "tcx"] as const) {
    const run = kind === "tcx" ? tcxTest : test;
    run(`took the interface with it, as the kernel's link says: ${kind}`, async () => {
      const link = await attach(kind);
      sh("ip", "netns", "delete", wire.netns.slice("/run/netns/".length));
      // The kernel takes a namespace apart a moment later.
      for (let tries = 0; (await get(link)).status.attachment?.present !== false && tries < 100; tries++)
        Bun.sleepSync(50);
      const attachment = { present: false, reason: "namespace-gone", interface: null };
      expect((await get(link)).status.attachment).toEqual(attachment as never);
      expect(await row(link)).toContain("(namespace gone)");
      expect((await bpfman.findings()).map(({ code }) => code)).toEqual(["hook-gone"]);
      expect((await bpfman.run("repair")).code).toBe(0);
      expect(await bpfman.links()).toEqual([]);
    });
  }

  for (const kind of ["xdp", "tc"] as const) {
    test(`left its number to another one, where nothing is bpfman's: ${kind}`, async () => {
      // Each namespace has an lo, with the same index. It has generic XDP only, which would be said.
      bpfman.env.BPFMAN_LOG = "error";
      const link = await attach(kind, "lo");
      const inode = statSync(wire.netns).ino;
      sh("ip", "netns", "delete", wire.netns.slice("/run/netns/".length));
      // The number is free a moment later, and the lowest free number is the next one that is used: for a namespace, or for one of its
      // files in /proc, of which a machine that removes many namespaces at the time has more.
      const began = performance.now();
      let successor: string | null = null;
      while (successor === null && performance.now() - began < SUCCESSOR_MS) {
        const name = `bpfman-next-${process.pid}-${kind}-${successors.length}`;
        successors.push(name);
        sh("ip", "netns", "add", name);
        if (statSync(`/run/netns/${name}`).ino === inode) successor = name;
        else await Bun.sleep(10);
      }
      if (successor === null) {
        console.log(`skipped: none of ${successors.length} namespaces got the number ${inode}`);
        return;
      }
      sh("ip", "-n", successor, "link", "set", "lo", "up");
      expect(await row(link)).toContain("(namespace gone)");
      expect((await bpfman.findings()).map(({ code }) => code)).toEqual(["hook-gone"]);
      expect((await bpfman.run("repair")).code).toBe(0);
      expect(await bpfman.links()).toEqual([]);
      expect(sh("ip", "-n", successor, "-d", "link", "show", "lo")).not.toContain("xdp");
      expect(sh("tc", "-n", successor, "filter", "show", "dev", "lo", "ingress")).toBe("");
    });
  }

  test("leaves nobody to ask about a filter", async () => {
    const link = await attach("tc");
    sh("ip", "netns", "delete", wire.netns.slice("/run/netns/".length));
    const attachment = { present: null, reason: "namespace-gone", interface: null };
    expect((await get(link)).status.attachment).toEqual(attachment as never);
    expect(await row(link)).toContain("(namespace gone)");
    expect(await bpfman.ok("dispatcher", "list")).toContain("(namespace gone)");
  });
});

/** Runs bpfman in that namespace, with the mounts of this one. */
function inside(netns: string, ...words: readonly string[]) {
  const { exitCode, stdout, stderr } = Bun.spawnSync(["nsenter", `--net=${netns}`, ...bpfman.command(...words)]);
  return { code: exitCode, out: stdout.toString(), error: stderr.toString() };
}

describe("a filter that was attached from its own namespace", () => {
  const show = () => ["tc", "filter", "show", "dev", wire.interface, "ingress"];
  const filters = () => sh("nsenter", `--net=${wire.netns}`, ...show());
  /** Without `--netns`: it is the caller's own. */
  async function attachInside(): Promise<number> {
    const program = idOf(await bpfman.load(OBJECT, "--programs", "tc:count_tc"), "count_tc");
    const where = ["-i", wire.interface, "-d", "ingress", "-p", "50"];
    expect(inside(wire.netns, "attach", String(program), "tc", ...where)).toMatchObject({ code: 0, error: "" });
    expect(filters()).toContain(`id ${program} `);
    return program;
  }

  test("is seen, left alone by repair, and taken off from another one", async () => {
    const program = await attachInside();
    expect((await bpfman.links())[0]?.attachment).toEqual({ present: true, reason: null, interface: wire.interface });
    expect(await bpfman.findings()).toEqual([]);
    expect(await bpfman.ok("repair")).toContain("nothing to repair");
    expect(filters()).toContain(`id ${program} `);
    await bpfman.ok("detach", String((await bpfman.links())[0]?.id));
    expect(filters()).not.toContain("count_tc");
  });

  test("is reached through a process in it, when it has no name any more", async () => {
    await attachInside();
    const living = Bun.spawn(["nsenter", `--net=${wire.netns}`, "sleep", "1000"]);
    try {
      await until(() => readlinkSync(`/proc/${living.pid}/ns/net`) !== readlinkSync("/proc/self/ns/net"));
      const left = () => sh("nsenter", `--net=/proc/${living.pid}/ns/net`, ...show());
      sh("ip", "netns", "delete", wire.netns.slice("/run/netns/".length));
      expect(left()).toContain("count_tc");
      await bpfman.ok("detach", String((await bpfman.links())[0]?.id));
      expect(left()).not.toContain("count_tc");
    } finally {
      living.kill();
      await living.exited;
    }
  });
});

test("a shell of its own mounts takes along what was loaded there, and the next change says why", async () => {
  const inShell = ["ip", "netns", "exec", wire.netns.slice("/run/netns/".length)];
  sh(...inShell, ...bpfman.command("load", "file", "--path", OBJECT, "--programs", "tc:count_tc"));
  const { code, error } = await bpfman.run("unload", "--ignore-missing", "4000000000");
  expect(code).toBe(0);
  expect(error).toContain("programs that lost their pins are gone");
  expect(error).toContain("use --netns, or nsenter --net");
  await bpfman.ok("unload", "--ignore-missing", "4000000000");
});

test("a filter that somebody deleted", async () => {
  const link = await attach("tc");
  const tc = (...words: string[]) => sh("tc", "-n", wire.netns.slice("/run/netns/".length), ...words);
  tc("filter", "delete", "dev", wire.interface, "ingress");
  const attachment = { present: false, reason: "filter-gone", interface: wire.interface };
  expect((await get(link)).status.attachment).toEqual(attachment as never);
  expect(await row(link)).toContain("(filter gone)");
  expect(await bpfman.ok("dispatcher", "list")).toContain(`${wire.interface} (filter gone)`);
});

describe("a file with a uprobe", () => {
  let directory = "";
  beforeEach(() => {
    directory = realpathSync(mkdtempSync(join(tmpdir(), "bpfman-places-")));
  });
  cleanUpAfterEach(() => rmSync(directory, { recursive: true }));

  test("that was replaced, and one that went", async () => {
    const target = join(directory, "target");
    copyFileSync(work.binary, target);
    const program = idOf(await bpfman.load(OBJECT, "--programs", "uprobe:count_uprobe"), "count_uprobe");
    const link = await bpfman.attach(program, "uprobe", "--target", target, "-f", USER_FUNCTION);
    expect(link.status.attachment).toEqual({ present: true, reason: null, interface: null });
    expect(await row(link)).not.toContain("(");
    copyFileSync(work.binary, join(directory, "new"));
    renameSync(join(directory, "new"), target);
    expect((await get(link)).status.attachment?.reason).toBe("file-replaced");
    expect(await row(link)).toContain(`${target} ${USER_FUNCTION} (file replaced)`);
    expect(await text(link)).toContain(`${target} (file replaced)`);
    unlinkSync(target);
    expect((await get(link)).status.attachment).toEqual({ present: false, reason: "file-gone", interface: null });
    expect(await row(link)).toContain("(file gone)");
    await expectNounKeys(link);
  });
});
