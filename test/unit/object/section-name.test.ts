import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { parseSectionName } from "../../../src/object/section-name.ts";
import { OWN_MULTIARCH } from "../../../scripts/debian.ts";

const LIBBPF = `/usr/lib/${OWN_MULTIARCH}/libbpf.so.1`;

describe("section names", () => {
  test.each([
    ["xdp", "xdp", null],
    ["xdp.frags", "xdp", null],
    ["xdp/filter", "xdp", "filter"],
    ["xdp/devmap", "xdp_devmap", null],
    ["xdp.frags/cpumap", "xdp_cpumap", null],
    ["tc", "tc", null],
    ["classifier/egress", "tc", "egress"],
    ["tc/ingress", "tc", "ingress"],
    ["action", "tc", null],
    ["tcx/ingress", "tcx", "ingress"],
    ["tp/sched/sched_switch", "tracepoint", "sched/sched_switch"],
    ["tracepoint/syscalls/sys_enter_openat", "tracepoint", "syscalls/sys_enter_openat"],
    ["kprobe/do_unlinkat", "kprobe", "do_unlinkat"],
    ["ksyscall/openat", "kprobe", "openat"],
    ["kretprobe", "kretprobe", null],
    ["kretsyscall/openat", "kretprobe", "openat"],
    ["uprobe//lib/libc.so.6:malloc", "uprobe", "/lib/libc.so.6:malloc"],
    ["uprobe.s/app:main", "uprobe", "app:main"],
    ["uretprobe.s", "uretprobe", null],
    ["fentry/vfs_read", "fentry", "vfs_read"],
    ["fentry.s", "fentry", null],
    ["fexit.s/vfs_read", "fexit", "vfs_read"],
    ["?kprobe/do_unlinkat", "kprobe", "do_unlinkat"],
    ["?tc", "tc", null],
    ["kprobe.multi/vfs_*", "kprobe.multi", "vfs_*"],
    ["uprobe.session", "uprobe.session", null],
    ["usdt/app:provider:name", "usdt", "app:provider:name"],
    ["raw_tp.w/sched_switch", "raw_tp", "sched_switch"],
    ["lsm.s/file_open", "lsm", "file_open"],
    ["lsm_cgroup/socket_bind", "lsm_cgroup", "socket_bind"],
    ["cgroup/connect4", "cgroup_sock_addr", null],
    ["struct_ops.s/init", "struct_ops", "init"],
    ["netfilter", "netfilter", null],
    ["cgroup/other", null, "other"],
    ["netkit/peer", "netkit", null],
    ["xdp/", "xdp", null],
    ["xdpfilter", null, null],
    ["kprobes/x", null, "x"],
    ["fentry.x/f", null, "f"],
    ["??tc", null, null],
    ["XDP", null, null],
    ["", null, null],
    ["toString", null, null],
    ["constructor/x", null, "x"],
  ])('"%s"', (section, kind, target) => {
    expect(parseSectionName(section)).toEqual({ kind, target } as ReturnType<typeof parseSectionName>);
  });

  /** The table's names stand one after another among the library's strings, with + where a target may follow. */
  const strings = existsSync(LIBBPF) ? readFileSync(LIBBPF).toString("latin1").split("\0") : [];
  const [first, last] = [strings.indexOf("sk_reuseport/migrate"), strings.indexOf("sk_lookup")];
  test.skipIf(first < 0 || last < first)(
    "every section that the installed libbpf has (skipped where its table is not found)",
    () => {
      const sections = strings.slice(first, last + 1).filter((name) => name !== "");
      expect(sections.length).toBeGreaterThan(50);
      expect(sections.filter((name) => parseSectionName(name.replace(/\+$/, "/target")).kind === null)).toEqual([]);
    },
  );
});
