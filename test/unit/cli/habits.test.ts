/** Lines of other tools are refused with what to type instead, and what that names exists. */
import { describe, expect, test } from "bun:test";
import { insteadOf } from "../../../src/cli/habits.ts";
import { cli } from "../../fakes/cli-host.ts";

const LINES: readonly (readonly [line: string, instead: string])[] = [
  // bpftool
  ["prog show", "bpfman list programs --all"],
  ["prog list", "bpfman list programs --all"],
  ["prog", "bpfman list programs --all"],
  ["prog show id 5", "bpfman get program ID"],
  ["prog load x.o /sys/fs/bpf/x", "bpfman load file --path OBJECT"],
  ["prog attach id 5 msg_verdict", "bpfman attach ID KIND"],
  ["prog dump xlated id 5", "bpftool does that"],
  ["net", "bpfman list links"],
  ["net show dev eth0", "bpfman dispatcher list"],
  ["map", "bpfman get program ID"],
  ["map dump id 7", "bpftool map dump pinned"],
  ["feature probe", "bpfman version -o json"],
  ["btf dump id 1", "bpftool does that"],
  ["link show", "bpfman list links"],
  // xdp-loader
  ["status", "bpfman list links --program-type xdp"],
  ["status eth0", "bpfman dispatcher list --type xdp"],
  ["load -m skb eth0 x.o", "bpfman load file --path OBJECT"],
  ["load eth0 x.o", "bpfman attach ID xdp"],
  ["unload eth0 --all", "bpfman detach LINK_ID"],
  ["unload -a eth0", "bpfman detach LINK_ID"],
  ["clean", "nothing needs cleaning"],
  // Any tool.
  ["show", "bpfman list programs"],
  ["ls", "bpfman list programs"],
  ["delete 5", "bpfman program delete ID"],
  ["program show 5", '"get" with an id'],
  // bpfman
  ["load x.o", "bpfman load file --path OBJECT"],
  ["get 5", "bpfman get program ID"],
  ["list -a", "bpfman list programs"],
  ["load-from-file -p x.o", "bpfman load file"],
  ["pull-bytecode -i x", "bpfman image pull"],
  ["serve", "bpfman rpc"],
  ["serve --csi-support", "bpfman rpc"],
  ["--csi-support --socket-path /run/x.sock", "bpfman rpc"],
  ["link attach 5 xdp eth0", "bpfman link attach KIND ID"],
  ["link attach xdp eth0 5 -p 50", "bpfman link attach KIND ID PLACE"],
  ["link attach tracepoint sched/sched_switch 5", "bpfman link attach KIND ID PLACE"],
  ["link attach xdp 5 --iface eth0 -p 50", "bpfman link attach tc ID IFACE DIRECTION"],
  ["link attach tc 5 eth0 -d ingress -p 50", "bpfman link attach tc ID IFACE DIRECTION"],
  ["link attach uprobe 5 --target=libc", "bpfman link attach uprobe ID TARGET"],
  ["link attach kprobe 5 -f vfs_read", "bpfman link attach kprobe ID FUNCTION"],
  ["program load file --path x.o --programs xdp:a", "bpfman program load file PATH"],
  ["program load -p x.o --programs xdp:a", "bpfman program load file PATH"],
  ["program load image -i a --programs xdp:a", "bpfman program load image IMAGE"],
  ["program attach 5 xdp", "bpfman link attach KIND ID"],
  ["link unload 5", "bpfman program unload ID"],
  ["image load a", "bpfman program load image IMAGE"],
];

describe("a line of another tool", () => {
  test.each(LINES)("%s", async (line, instead) => {
    const run = await cli(line);
    expect([run.code, run.out, run.connected]).toEqual([
      line.startsWith("link") || line.startsWith("program") ? 1 : 2,
      "",
      [],
    ]);
    expect(/^hint: (.*)$/m.exec(run.err)?.[1]).toContain(instead);
  });

  test("names commands that there are", async () => {
    const quoted = LINES.flatMap(([line]) => [...(insteadOf(line.split(" ")) ?? "").matchAll(/"bpfman ([^"]+)"/g)]);
    expect(quoted.length).toBeGreaterThan(20);
    for (const [, command = ""] of quoted) {
      const [words = ""] = /^[a-z]+( [a-z]+)*/.exec(command) ?? [];
      const known = await cli(`help ${words}`);
      expect([command, known.code]).toEqual([command, 0]);
    }
  });

  test("that is understood needs no advice", async () => {
    expect(insteadOf(["load", "file", "--programs", "xdp:a"])).toBeNull();
    expect((await cli("unload 5")).err).toBe("");
  });
});

describe("colours", () => {
  test("are for terminals that want them", async () => {
    const red = "\x1b[1;31merror:\x1b[0m unknown command";
    expect((await cli("lsit", { terminal: true })).err).toStartWith(red);
    expect((await cli("lsit")).err).toStartWith("error: unknown command");
    expect((await cli("lsit", { terminal: true, env: { NO_COLOR: "1" } })).err).toStartWith("error: unknown");
    expect((await cli("program lsit", { terminal: true })).err).toStartWith("\x1b[1;31mbpfman: error:\x1b[0m");
  });
});
