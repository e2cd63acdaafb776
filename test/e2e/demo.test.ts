/** `npm run demo`, as in the README, shows what it promises and leaves nothing behind, at its end or on Ctrl-C. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { isOrphan, mountsUnder, namedNamespaces } from "../../scripts/residue.ts";
import { blocksOf } from "../documents/document.ts";

const ROOT = resolve(import.meta.dir, "../..");

let directory = "";
let namespaces = new Set<string>();
beforeEach(() => {
  namespaces = new Set(namedNamespaces());
  directory = realpathSync(mkdtempSync(join(tmpdir(), "bpfman-demo-test-")));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const start = (...command: readonly string[]) =>
  Bun.spawn([...command], {
    cwd: ROOT,
    env: { ...process.env, TMPDIR: directory, NO_COLOR: "1", npm_config_update_notifier: "false" },
    stdio: ["ignore", "pipe", "pipe"],
  });

/** The programs that the demo's tables show are gone, as bpftool sees it: the kernel drops them a moment after the pins. */
async function expectUnloaded(out: string): Promise<void> {
  const ids = new Set([...out.matchAll(/^ (\d+) +demo +(?:tcx|tracepoint) /gm)].map(([, id = ""]) => id));
  expect(ids.size).toBe(2);
  const loaded = () => [...ids].filter((id) => Bun.spawnSync(["bpftool", "prog", "show", "id", id]).exitCode === 0);
  for (let tries = 0; tries < 50 && loaded().length > 0; tries++) await Bun.sleep(100);
  expect(loaded()).toEqual([]);
}

/** What a demo that has ended left behind. */
const traces = () => ({
  files: readdirSync(directory),
  mounts: mountsUnder(directory),
  namespaces: namedNamespaces().filter(
    (name) => name.startsWith("bpfman-demo-") && !namespaces.has(name) && isOrphan(name),
  ),
});
const NO_TRACES = { files: [], mounts: [], namespaces: [] };

test("it counts while attached, stands still afterwards, and leaves nothing", async () => {
  const [, command = ""] = blocksOf("README.md").flatMap(({ text }) => /^(npm run demo)\b/m.exec(text) ?? []);
  const demo = start("bash", "-c", command);
  const [out, error, code] = await Promise.all([demo.stdout.text(), demo.stderr.text(), demo.exited]);
  expect({ code, error }).toEqual({ code: 0, error: "" });
  const packets = [...out.matchAll(/^ {2}packets +(\d+)$/gm)].map(([, count]) => Number(count));
  expect(packets).toHaveLength(3);
  const [whileAttached = 0, detached, afterwards] = packets;
  expect(whileAttached).toBeGreaterThanOrEqual(5);
  expect(detached).toBeGreaterThanOrEqual(whileAttached);
  expect(afterwards).toBe(detached);
  const opens = [...out.matchAll(/^ {2}calls of openat +(\d+)$/gm)].map(([, count]) => Number(count));
  expect(opens[0]).toBeGreaterThan(0);
  expect(opens[2]).toBe(opens[1]);
  expect(out).toContain("count_packets");
  expect(traces()).toEqual(NO_TRACES);
  await expectUnloaded(out);
});

test.each(["SIGINT", "SIGTERM"] as const)("%s in the middle removes everything", async (signal) => {
  const demo = start(process.execPath, "scripts/demo.ts");
  let out = "";
  const decoder = new TextDecoder();
  let sent = false;
  for await (const chunk of demo.stdout) {
    out += decoder.decode(chunk, { stream: true });
    if (!sent && out.includes("bpfman list links")) {
      sent = true;
      demo.kill(signal);
    }
  }
  await demo.exited;
  expect(sent).toBe(true);
  expect(demo.exitCode).toBe(signal === "SIGINT" ? 130 : 143);
  expect(out).not.toContain("done");
  expect(traces()).toEqual(NO_TRACES);
  await expectUnloaded(out);
});
