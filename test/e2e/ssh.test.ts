/**
 * `ssh HOST bpfman rpc`: two hosts, each an sshd(8) of our own on loopback with a runtime directory of its own, in a network
 * namespace and with an /etc of their own. The commands of docs/howto/ssh.md are run as they are written.
 */
import { beforeEach, expect, test } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { buildBpf } from "../../scripts/build-bpf.ts";
import { startClient } from "../../rpc/client/client.ts";
import { blocksOf, patternOf } from "../documents/document.ts";
import { cleanUpAfterEach } from "../labs/clean-up.ts";
import { deleteNamespaces, inKernel, ipBatch, sh, until } from "../labs/kernel-lab.ts";
import { temporaryDirectory } from "../labs/temporary-directory.ts";

buildBpf();
const ROOT = resolve(import.meta.dir, "../..");
const PAGE = "docs/howto/ssh.md";
const OBJECT = join(ROOT, "dist/bpf/examples/packet_counter.bpf.o");
const HOSTS = ["web1", "web2"] as const;
const NETNS = `bpfman-ssh-${process.pid}`;

const directory = temporaryDirectory();
const path = (name: string) => directory.path(name);

/** Where the two hosts can be reached, until it is told to end. */
const SURROUNDINGS = `
set -euo pipefail
# sshd's directory without privileges, and its user, who is there wherever the package is.
mount -t tmpfs tmpfs /run
mkdir -m 755 /run/sshd
cp -a /etc "$1/etc"
mount --bind "$1/etc" /etc
cp "$1/ssh_config" /etc/ssh/ssh_config
for host in web1 web2; do /usr/sbin/sshd -D -f "$1/$host.sshd" -E "$1/$host.log" & done
trap 'kill $(jobs -p)' TERM
echo ready
wait
`;

let surroundings: Bun.Subprocess<"ignore", "pipe", "pipe"> | null = null;

cleanUpAfterEach(async () => {
  surroundings?.kill("SIGTERM");
  await surroundings?.exited;
  deleteNamespaces(NETNS);
});
beforeEach(async () => {
  ipBatch([], `netns add ${NETNS}`);
  ipBatch(["-n", NETNS], "link set lo up");
  for (const name of ["host", "user"]) sh("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path(`${name}.key`));
  const userKey = readFileSync(path("user.key.pub"), "utf8");
  const hostKey = readFileSync(path("host.key.pub"), "utf8");
  writeFileSync(path("authorized"), userKey);
  const client = [`IdentityFile ${path("user.key")}`, `UserKnownHostsFile ${path("known")}`, "User root"];
  const sections = HOSTS.map(
    (host, at) => `Host ${host}\n HostName 127.0.0.1\n Port ${2201 + at}\n HostKeyAlias ${host}\n`,
  );
  // A host of that name where nobody listens.
  sections.push("Host web3\n HostName 127.0.0.1\n Port 2203\n");
  writeFileSync(path("ssh_config"), `${sections.join("")}Host *\n ${client.join("\n ")}\n`);
  writeFileSync(path("known"), HOSTS.map((host) => `${host} ${hostKey}`).join(""));
  for (const [at, host] of HOSTS.entries()) {
    mkdirSync(path(host), { mode: 0o750 });
    writeFileSync(path(`${host}.log`), "");
    const environment = `PATH=${join(ROOT, "dist")}:/usr/sbin:/usr/bin:/sbin:/bin BPFMAN_RUNTIME_DIR=${path(host)}`;
    const lines = [
      ...[`ListenAddress 127.0.0.1:${2201 + at}`, `HostKey ${path("host.key")}`, "PidFile none", "UsePAM no"],
      ...[`AuthorizedKeysFile ${path("authorized")}`, "StrictModes no", "PermitRootLogin yes"],
      `SetEnv ${environment}`,
    ];
    writeFileSync(path(`${host}.sshd`), `${lines.join("\n")}\n`);
  }
  const words = ["unshare", "--mount", "--propagation", "private", "bash", "-c"];
  surroundings = Bun.spawn(["nsenter", `--net=/run/netns/${NETNS}`, ...words, SURROUNDINGS, "hosts", path("")], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  await surroundings.stdout.getReader().read();
  for (const host of HOSTS) await until(() => readFileSync(path(`${host}.log`), "utf8").includes("Server listening"));
});

/** The words of a command, as it is run where the hosts can be reached. */
function beside(...command: readonly string[]): [string, ...string[]] {
  return ["nsenter", "--target", String(surroundings?.pid), "--mount", "--net", `--wd=${ROOT}`, "--", ...command];
}

async function run(...command: readonly string[]) {
  const env = { PATH: `${join(ROOT, "node_modules/.bin")}:${process.env.PATH}` };
  const child = Bun.spawn(beside(...command), { env, stdio: ["ignore", "pipe", "pipe"] });
  const [out, error, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { code, out, error };
}

/** Must succeed and say nothing on stderr; answers what it printed. */
async function ok(...command: readonly string[]): Promise<string> {
  const { code, out, error } = await run(...command);
  expect({ command, code, error }).toEqual({ command, code: 0, error: "" });
  return out;
}

const block = (language: string, words: string): string => {
  const found = blocksOf(PAGE).filter((each) => each.language === language && each.text.includes(words));
  expect(found).toHaveLength(1);
  return found[0]?.text ?? "";
};

const load = (host: string) =>
  ok("bash", "-ec", block("sh", "list programs").replaceAll("web1", host).replace("/srv/packet_counter.bpf.o", OBJECT));

const remote = (host: string, ...command: readonly string[]) =>
  startClient({ command: beside("ssh", "-T", "-o", "BatchMode=yes", host, ...command), remote: true });

/** What was loaded goes with the mount namespace of the hosts, where it is pinned. */
const programsOf = async (host: string): Promise<readonly number[]> =>
  (await ok("ssh", host, "bpfman", "program", "list", "-q")).split("\n").filter(Boolean).map(Number);

test("what the page shows: commands, a program, several hosts at once, also when one is not there", async () => {
  for (const host of HOSTS) expect(await load(host)).toContain("count_openat");
  const command = block("sh", "several-hosts").trim().replace(/^bun /, `${process.execPath} `);
  const shown = blocksOf(PAGE).find(({ language, text }) => language === "text" && text.startsWith("web1"));
  if (shown === undefined) throw new Error(`${PAGE} shows no list of several hosts`);
  expect(await ok("bash", "-ec", command)).toMatch(patternOf(shown));

  const { code, out, error } = await run("bash", "-ec", `${command} web3`);
  expect({ code, out }).toEqual({ code: 1, out: expect.stringMatching(patternOf(shown)) });
  expect(error).toMatch(/^web3: initialize: the server ended with exit code 255: ssh: connect to host .* refused\n$/);
  const none = await run("bash", "-ec", `${command} -- /no/such/bpfman rpc`);
  expect(none).toEqual({
    code: 1,
    out: "",
    error: expect.stringMatching(/^web1: .*exit code 127.*\/no\/such\/bpfman/),
  });

  // The server outlives that no process there has the client's ID.
  const file = path("program.ts");
  writeFileSync(file, block("ts", "startClient").replace('"../../', `"${ROOT}/`));
  const [id] = await programsOf("web1");
  expect(await ok(process.execPath, file)).toBe(`${sh("uname", "-r").trim()} ${id}\n`);
});

test("a session that loses its connection ends, and takes with it what it was to clean up", async () => {
  const client = await startClient({
    command: beside("ssh", "-T", "web1", "bpfman", "rpc"),
    remote: true,
    cleanup: true,
  });
  const { programs } = await client.call("program/load", {
    source: { file: OBJECT },
    programs: [{ type: "tracepoint", name: "count_openat" }],
  });
  const id = programs[0]?.record?.program_id ?? 0;
  expect(await programsOf("web1")).toEqual([id]);
  expect(await programsOf("web2")).toEqual([]);
  // nsenter becomes ssh, so this is its process.
  const [ssh] = sh("pgrep", "--full", `^ssh -T web1 bpfman rpc$`).split("\n");
  process.kill(Number(ssh), "SIGKILL");
  await client.closed;
  await until(() => !inKernel("prog", id));
});

test("a key that may do nothing else starts the server, whatever is asked for; and a shell that prints is reported", async () => {
  const line = block("text", "restrict").trim();
  const [options = ""] = line.split(" ssh-ed25519 ");
  writeFileSync(path("authorized"), `${options} ${readFileSync(path("user.key.pub"), "utf8")}`);
  const client = await remote("web1", "cat", "/etc/shadow");
  expect(await client.call("program/list")).toEqual({ programs: [] });
  await client.dispose();
  const { out } = await run("ssh", "-T", "web1", "id");
  expect(out).not.toContain("uid=");

  // What a shell prints first is no session, and the error shows it.
  writeFileSync(path("authorized"), readFileSync(path("user.key.pub")));
  await expect(remote("web1", "echo welcome; bpfman rpc")).rejects.toThrow(/welcome/);
});
