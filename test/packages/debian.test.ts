/** The .deb on Debian as a newcomer finds it: installed, used, upgraded while programs run, removed and purged. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { buildBpf } from "../../scripts/build-bpf.ts";
import { SCHEMA } from "../../src/store/migrate.ts";
import { blocksOf } from "../documents/document.ts";
import { cleanRoot } from "../labs/clean-root.ts";
import { until } from "../labs/kernel-lab.ts";
import { DEB_ARCHITECTURE, earlierDeb, noEarlier, packageNamed, VERSION } from "../labs/packages.ts";
import { typeInto } from "../labs/terminal.ts";

buildBpf();
const DEB = packageNamed(`_${DEB_ARCHITECTURE}.deb`);
const EXAMPLE = "/usr/lib/bpfman/examples/packet_counter.bpf.o";
/** What a document has a reader type. */
const commandsOf = (path: string): string =>
  blocksOf(path)
    .filter(({ attributes }) => attributes["run-by"] === "test/packages/debian.test.ts")
    .map(({ text }) => text)
    .join("");
const upgradeTest = noEarlier === null ? test : test.skip;
let directory = "";
let earlier = "";

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "bpfman-deb-"));
  if (noEarlier === null) earlier = await earlierDeb(directory);
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

test("lintian finds no error", () => {
  const command = ["lintian", "--allow-root", "--fail-on=error", "--tag-display-limit=0", DEB];
  const result = Bun.spawnSync(command, { stderr: "pipe" });
  expect(result.stdout.toString()).not.toContain("E: ");
  expect([result.exitCode, result.stderr.toString()]).toEqual([0, ""]);
});

describe.each(["bookworm", "trixie"])("on Debian %s", (suite) => {
  const root = cleanRoot(suite);
  /** Packets that the example has counted so far. */
  const counted = (): number => Number(root.sh("bpfman map lookup demo/counters 0"));
  const programs = (): string =>
    root.sh("bpfman list programs --application demo -q; bpfman list links --application demo -q");
  const ping = "ping -q -c 1 127.0.0.1 >/dev/null";
  let running = "";

  upgradeTest(
    `an earlier version is installed by one command, and runs the example${noEarlier === null ? "" : ` (${noEarlier})`}`,
    () => {
      root.put(earlier);
      root.online(`apt-get install -y ./${basename(earlier)}`);
      root.sh(`bpfman run ${EXAMPLE} tcx:count_packets --iface lo --direction ingress --priority 50 -a demo`);
      root.sh(ping);
      expect(counted()).toBeGreaterThan(0);
      running = programs();
      expect(root.sh("sqlite3 /var/lib/bpfman/bpfman.db 'PRAGMA user_version'")).toBe("9\n");
    },
  );

  test("this one is installed by one command, in its place; what was attached goes on", async () => {
    root.put(DEB);
    root.sh(`rm -f ${basename(earlier)}`);
    root.online(commandsOf("README.md"));
    expect(root.sh(`dpkg-query -W -f '\${Status} \${Version}' bpfman`)).toBe(`install ok installed ${VERSION}`);
    expect(root.sh("bpfman version")).toContain(`bpfman ${VERSION} `);
    if (noEarlier !== null) return;
    expect(programs()).toBe(running);
    const before = counted();
    root.sh(ping);
    await until(() => counted() > before);
  });

  test("the first change migrates the database", () => {
    root.sh(`bpfman run ${EXAMPLE} tcx:count_packets --iface lo --direction egress --priority 50 -a second`);
    expect(root.sh("sqlite3 /var/lib/bpfman/bpfman.db 'PRAGMA user_version'")).toBe(`${SCHEMA.version}\n`);
    expect(root.sh("bpfman doctor")).not.toContain("error");
    root.sh("bpfman program delete $(bpfman list programs --application second -q)");
    if (noEarlier === null) expect(programs()).toBe(running);
  });

  test("does what the guide shows", () => {
    root.sh("bpfman program delete --all");
    root.online(`${commandsOf("docs/howto/install.md").split("\n")[0]}`);
    root.sh(commandsOf("docs/howto/install.md").split("\n").slice(1).join("\n"));
    root.sh("bpfman program delete --all");
  });

  test("has man pages, also for subcommands", () => {
    expect(root.sh("man -P cat bpfman-attach-xdp")).toContain("Attach an XDP program to a network interface.");
    expect(root.sh("man -w bpfman bpfman-restore").split("\n")).toHaveLength(3);
  });

  test("completes in fresh shells", async () => {
    const env = { PATH: process.env.PATH ?? "" };
    const bash = { command: [...root.words, "PS1=$ ", "bash", "-li"], setUp: ":" };
    // Without the blank that bash leaves out at the tab that loads a completion, and zsh removes again.
    expect((await typeInto(bash, "bpfman rest\t", env)).line.trimEnd()).toBe("bpfman restore");
    const zsh = { command: [...root.words, "zsh", "-i"], setUp: "autoload -Uz compinit; compinit -u; bindkey -e" };
    root.sh("touch ~/.zshrc");
    expect((await typeInto(zsh, "bpfman rest\t", env)).line.trimEnd()).toBe("bpfman restore");
    expect(root.sh("fish -c 'complete -C \"bpfman rest\"'")).toStartWith("restore\t");
  });

  test("its units are sound", () => {
    expect(root.sh("systemd-analyze verify /usr/lib/systemd/system/bpfman*")).toBe("");
    expect(root.sh("systemctl is-enabled bpfman-restore.service")).toBe("enabled\n");
  });

  test("keeps a changed configuration through a new installation, and adds a group once", () => {
    root.sh("echo '# mine' >> /etc/bpfman/bpfman.toml");
    root.sh(`dpkg -i ./${basename(DEB)}`);
    expect(root.sh("tail -n 1 /etc/bpfman/bpfman.toml; grep -c ^bpfman: /etc/group")).toBe("# mine\n1\n");
  });

  test("leaves what runs when it is purged, and says so; installed again, it knows it", async () => {
    root.sh(`bpfman run ${EXAMPLE} tcx:count_packets --iface lo --direction ingress --priority 50 -a kept`);
    expect(root.sh("apt-get purge -y bpfman")).toContain("/var/lib/bpfman and /run/bpfman are kept");
    root.sh("! command -v bpfman");
    root.sh(`dpkg -i ./${basename(DEB)}`);
    const lookUp = () => Number(root.sh("bpfman map lookup kept/counters 0"));
    const before = lookUp();
    root.sh(ping);
    await until(() => lookUp() > before);
  });

  test("leaves nothing but the group when nothing runs", () => {
    root.sh("bpfman program delete --all");
    root.sh("apt-get purge -y bpfman");
    // What man has shown is in its own cache.
    const found = `find / -xdev -name '*bpfman*' -not -path "$HOME/*" -not -path '/var/cache/man/*'`;
    const left = root.sh(`${found}; ls -d /run/bpfman 2>/dev/null || true`);
    expect(left).toBe("");
    expect(root.sh("grep -c ^bpfman: /etc/group")).toBe("1\n");
  });
});
