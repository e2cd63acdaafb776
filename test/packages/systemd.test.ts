/**
 * The .deb on a Debian that systemd has booted: its units do their work under their restrictions, what was attached is back
 * after a reboot, and what is purged is gone. On this machine's kernel, a container is rebooted, and gets another boot ID; for the
 * other processor, it is a virtual machine, and with BPFMAN_REBOOT_KERNEL=NAME (scripts/vm/kernels.ts) also for this one.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { buildBpf } from "../../scripts/build-bpf.ts";
import { bunFor, type Processor } from "../../scripts/bun-for.ts";
import { ARCHITECTURES } from "../../scripts/package/release.ts";
import { BEGIN_MARK, boot, missingTool, signOfLife } from "../../scripts/vm/boot.ts";
import { fetchKernel, kernelNamed, rootFor } from "../../scripts/vm/kernels.ts";
import { run } from "../../scripts/vm/run.ts";
import type { DaemonAnswer } from "../labs/ask-daemon.ts";
import { cachedRoot } from "../labs/clean-root.ts";
import { packageNamed, VERSION } from "../labs/packages.ts";
import { bootHere } from "../labs/systemd-here.ts";

buildBpf();
const ROOT = resolve(import.meta.dir, "../..");
const EXAMPLE = "/usr/lib/bpfman/examples/packet_counter.bpf.o";
const UNITS = ["bpfman-restore.service", "bpfman-metrics.timer", "bpfman.socket", "bpfman.service"].join(" ");
const METRICS = "/var/lib/prometheus/node-exporter/bpfman.prom";
const LIMIT_MS = 45 * 60_000;
const OTHER: Processor = process.arch === "arm64" ? "x64" : "arm64";
const REBOOTED = process.env.BPFMAN_REBOOT_KERNEL;
const MACHINES: readonly { readonly processor: Processor; readonly system: string; readonly kernel: string | null }[] =
  [
    // Not bookworm: its systemd mounts a new /proc for some units, in which the boot ID is this machine's again.
    { processor: process.arch as Processor, system: "trixie", kernel: null },
    // The root of the virtual machines (scripts/vm/kernels.ts).
    { processor: OTHER, system: "bookworm", kernel: OTHER === "arm64" ? "arm64" : "6.12" },
    ...(REBOOTED === undefined
      ? []
      : [{ processor: process.arch as Processor, system: "bookworm", kernel: REBOOTED } as const]),
  ];
const missing = missingTool([OTHER]);

/** `say NAME COMMAND…` writes what it prints, also if it fails; `await COMMAND…` waits until it succeeds, three minutes. */
const helpers = (out: string, asks: string): string => `
  say() { local name=$1; shift; "$@" >"${out}/$name" 2>&1 || echo "ended with $?" >>"${out}/$name"; }
  await() { local n; for n in $(seq 180); do "$@" && return; sleep 1; done; echo "never: $*"; return 1; }
  counted() { bpfman map lookup demo/counters 0; }
  more() { [ "$(counted)" -gt "$1" ]; }
  ask() { timeout 600 ${asks} /run/bpfman-sock/bpfman.sock ${EXAMPLE} || { journalctl -b -u bpfman.service; return 1; }; }
  pid() { systemctl show -P MainPID bpfman.service; }
  another() { [ "$(pid)" != "$1" ] && [ "$(pid)" != 0 ]; }
`;

const BEFORE = (deb: string) => `
  say state systemctl is-system-running --wait
  dpkg -i ${deb}
  say enabled systemctl is-enabled ${UNITS}
  say version bpfman version
  say man man -P cat bpfman-attach-xdp
  bpfman run ${EXAMPLE} tcx:count_packets --iface lo --direction ingress --priority 50 -a demo --keep
  ping -q -c 1 127.0.0.1
  await more 0

  mkdir -p ${METRICS.replace(/\/[^/]+$/, "")}
  systemctl enable --now bpfman-metrics.timer
  systemctl start bpfman-metrics.service
  say metrics cat ${METRICS}

  systemctl enable --now bpfman.socket
  say unasked systemctl is-active bpfman.socket bpfman.service
  say asked ask
  say status systemctl status --no-pager --lines=0 bpfman.socket bpfman.service
  first=$(pid)
  say closed grep -E '^(CapBnd|NoNewPrivs|Seccomp):' /proc/$first/status
  say all grep -E '^CapBnd:' /proc/1/status
  kill -KILL $first
  await another $first
  say asked-again ask
  second=$(pid)
  dpkg -i ${deb}
  await another $second
  say asked-updated ask
  say failed systemctl --failed --no-legend --plain
`;

const AFTER = `
  say after-state systemctl is-system-running --wait
  say restored systemctl show -p ActiveState,SubState,Result bpfman-restore.service
  say journal journalctl -b -o cat -u bpfman-restore.service
  say links bpfman list links --application demo
  now=$(counted)
  ping -q -c 1 127.0.0.1
  await more "$now"
  await test ${METRICS} -nt /run/systemd/system/vm.service
  say after-asked ask

  bpfman program delete --all
  dpkg --purge bpfman
  say left find / -xdev '(' -path /root -o -path /var/cache/man -o -path '${ROOT}' ')' -prune -o -name '*bpfman*' -print
  say left-units systemctl list-units --all --no-legend --plain 'bpfman*'
  say left-run find /run -name 'bpfman*'
  say after-failed systemctl --failed --no-legend --plain
`;

describe.each(MACHINES.filter(({ kernel }) => kernel === null || missing === null))(
  "on $processor, Debian $system",
  (machine) => {
    const { processor, system, kernel } = machine;
    const deb = packageNamed(`_${ARCHITECTURES[processor].deb}.deb`);
    let directory = "";
    let root = "";
    const said = (name: string): string => readFileSync(join(directory, "out", name), "utf8");
    const answer = (name: string): DaemonAnswer => JSON.parse(said(name));

    beforeAll(() => {
      directory = mkdtempSync(join(tmpdir(), "bpfman-systemd-"));
      root = join(directory, "root");
      mkdirSync(join(directory, "out"));
      const own = processor === process.arch;
      run(["cp", "-a", own ? cachedRoot(system) : rootFor(processor), root]);
      copyFileSync(deb, join(directory, "out", basename(deb)));
      // The machine has no network; the root for another processor has it.
      if (own) run(["chroot", root, "apt-get", "install", "-qy", "libbpf1"]);
      // Not the first boot of an image, at which systemd enables what its presets say.
      run(["systemd-machine-id-setup", `--root=${root}`]);
    }, LIMIT_MS);
    afterAll(() => rmSync(directory, { recursive: true, force: true }));

    /** From power to power off; throws with what the machine said if the commands fail. */
    async function live(commands: string): Promise<void> {
      const out = join(directory, "out");
      const script = join(out, "script.sh");
      const asks = [bunFor(processor), join(ROOT, "test/labs/ask-daemon.ts")].join(" ");
      const begin = `echo "${BEGIN_MARK} $(uname -r)"; (while :; do echo >"${signOfLife(script)}"; sleep 20; done) &`;
      writeFileSync(script, `${begin}\nset -euo pipefail\ncd /root\n${helpers(out, asks)}\n${commands}`);
      if (kernel === null) {
        const ended = bootHere(root, { script, directories: [out, ROOT], timeoutMs: LIMIT_MS });
        return expect(ended).toEqual({ status: 0, text: ended.text });
      }
      let text = "";
      const ended = await boot(fetchKernel(kernelNamed(kernel)), {
        ...{ root, init: "/lib/systemd/systemd" },
        ...{ script, directories: [out, ROOT], timeoutMs: LIMIT_MS },
        print: (line) => {
          text += `${line}\n`;
        },
        signal: new AbortController().signal,
      });
      expect({ ended, text }).toEqual({ ended: { status: 0 }, text });
    }

    test(
      "one command installs it while systemd runs, and enables what restores",
      async () => {
        await live(BEFORE(join(directory, "out", basename(deb))));
        expect(said("state")).toBe("running\n");
        expect(said("enabled")).toBe("enabled\ndisabled\ndisabled\ndisabled\n");
        expect(said("version")).toStartWith(`bpfman ${VERSION} `);
        expect(said("man")).toContain("Attach an XDP program to a network interface.");
      },
      LIMIT_MS,
    );

    test("the metrics' unit writes them, closed as it is", () => {
      expect(said("metrics")).toMatch(/^bpfman_\w+\{.*count_packets.*\} \d+$/m);
    });

    test("the socket starts the service, which does its work with the rights that its unit leaves it", () => {
      expect(said("unasked")).toBe("active\ninactive\n");
      expect(answer("asked")).toEqual({ programs: ["count_packets"], links: 1, driver: null });
      expect(said("status").match(/Active: active/g)).toHaveLength(2);
      const statusOf = (name: string): Record<string, string> =>
        Object.fromEntries([...said(name).matchAll(/^(\w+):\s+(\w+)$/gm)].map(([, ...pair]) => pair));
      const { CapBnd, ...more } = statusOf("closed");
      // CHOWN, DAC_OVERRIDE, NET_ADMIN, SYS_ADMIN, SYS_RESOURCE, PERFMON, BPF (linux/capability.h).
      const allowed = [0, 1, 12, 21, 24, 38, 39].reduce((mask, bit) => mask | (1n << BigInt(bit)), 0n);
      // A sandbox may have taken some of them from the machine.
      expect([BigInt(`0x${CapBnd}`), more]).toEqual([
        allowed & BigInt(`0x${statusOf("all").CapBnd}`),
        { NoNewPrivs: "1", Seccomp: "2" },
      ]);
    });

    test("killed, it is started again; an update starts it anew", () => {
      expect(answer("asked-again")).toEqual(answer("asked"));
      expect(answer("asked-updated")).toEqual(answer("asked"));
      expect(said("failed")).toBe("");
    });

    test(
      "after a reboot, what was attached counts, metrics are written, and the socket is there; purged, nothing is left",
      async () => {
        await live(AFTER);
        expect(said("after-state")).toBe("running\n");
        expect(said("restored").trim().split("\n").sort()).toEqual([
          "ActiveState=active",
          "Result=success",
          "SubState=exited",
        ]);
        expect(said("links")).toContain("lo ingress pos-0");
        expect(said("journal")).toContain("restored");
        expect(answer("after-asked")).toEqual(answer("asked"));
        expect(["left", "left-run", "left-units", "after-failed"].map(said)).toEqual(["", "", "", ""]);
        expect(existsSync(join(root, "var/lib/bpfman"))).toBe(false);
      },
      LIMIT_MS,
    );
  },
);

test.skipIf(missing === null)(`virtual machines (skipped: ${missing} is missing)`, () => {});
