/**
 * The .rpm, installed by rpm into a root in which it is the first package: Debian's, since no other is to be had from Debian's
 * archive. Its dependencies are of Fedora's names, so they are looked up by hand.
 */
import { expect, test } from "bun:test";
import { basename } from "node:path";
import { buildBpf } from "../../scripts/build-bpf.ts";
import { cleanRoot } from "../labs/clean-root.ts";
import { until } from "../labs/kernel-lab.ts";
import { packageNamed, RPM_ARCHITECTURE, VERSION } from "../labs/packages.ts";

buildBpf();
const RPM = packageNamed(`.${RPM_ARCHITECTURE}.rpm`);
const FILE = `./${basename(RPM)}`;
const EXAMPLE = "/usr/lib/bpfman/examples/packet_counter.bpf.o";
const root = cleanRoot("trixie");
const counted = (): number => Number(root.sh("bpfman map lookup demo/counters 0"));
const ping = "ping -q -c 1 127.0.0.1 >/dev/null";

test("needs nothing but libbpf, the C library, a shell, and what adds a group", () => {
  root.online("apt-get install -y rpm libbpf1 >/dev/null");
  root.put(RPM);
  const needed = root.sh(`rpm -qpR ${FILE}`).trim().split("\n");
  const outside = needed.filter((each) => !each.startsWith("rpmlib(") && !each.startsWith("config(bpfman)"));
  for (const each of outside) {
    const file = /^(lib[^()]+|ld-linux[^()]+)\(/.exec(each)?.[1];
    if (file !== undefined) expect(root.sh("ldconfig -p")).toContain(`\t${file} `);
    else expect([each, root.sh(`test -x ${each} && echo is there`)]).toEqual([each, "is there\n"]);
  }
  expect(outside).toContain("libbpf.so.1()(64bit)");
});

test("is installed, with the group, and runs the example", async () => {
  root.sh(`rpm -i --nodeps ${FILE}`);
  expect(root.sh("rpm -q --qf '%{name} %{version}' bpfman")).toBe(`bpfman ${VERSION}`);
  expect(root.sh("rpm -V --nodeps bpfman; grep -c ^bpfman: /etc/group")).toBe("1\n");
  expect(root.sh("bpfman version")).toContain(`bpfman ${VERSION} `);
  expect(root.sh("man -P cat bpfman-attach-xdp")).toContain("Attach an XDP program to a network interface.");
  expect(root.sh("systemd-analyze verify /usr/lib/systemd/system/bpfman*")).toBe("");
  root.sh(`bpfman run ${EXAMPLE} tcx:count_packets --iface lo --direction ingress --priority 50 -a demo`);
  root.sh(ping);
  await until(() => counted() > 0);
});

test("of its units, a preset enables only the one that restores, also where a distribution's disables all", () => {
  root.sh("echo 'disable *' >/usr/lib/systemd/system-preset/99-default-disable.preset");
  root.sh("systemctl preset bpfman-restore.service bpfman.socket bpfman.service bpfman-metrics.timer");
  const states =
    "systemctl is-enabled bpfman-restore.service bpfman.socket bpfman.service bpfman-metrics.timer || true";
  expect(root.sh(states)).toBe("enabled\ndisabled\ndisabled\ndisabled\n");
  root.sh("systemctl disable bpfman-restore.service");
});

test("an update keeps a changed configuration, the group, and what runs", async () => {
  root.sh("echo '# mine' >> /etc/bpfman/bpfman.toml");
  root.sh(`rpm -U --nodeps --replacepkgs ${FILE}`);
  expect(root.sh("tail -n 1 /etc/bpfman/bpfman.toml; grep -c ^bpfman: /etc/group")).toBe("# mine\n1\n");
  const before = counted();
  root.sh(ping);
  await until(() => counted() > before);
});

test("erased, it leaves what runs, the database, the changed configuration and the group", () => {
  root.sh("rpm -e --nodeps bpfman");
  const elsewhere = `-not -path "$HOME/*" -not -path '/var/cache/man/*' -not -path '/var/lib/bpfman/*'`;
  const left = root.sh(`find / -xdev -name '*bpfman*' ${elsewhere} | sort`);
  expect(left).toBe("/etc/bpfman\n/etc/bpfman/bpfman.toml.rpmsave\n/var/lib/bpfman\n");
  expect(root.sh("ls -d /run/bpfman/fs; grep -c ^bpfman: /etc/group")).toBe("/run/bpfman/fs\n1\n");
  root.sh(`rpm -i --nodeps ${FILE}`);
  expect(counted()).toBeGreaterThan(0);
  root.sh("bpfman program delete --all; rpm -e --nodeps bpfman");
});
