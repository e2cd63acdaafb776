/** Every command block of the documents is run. In this ring, so that other kernels run those that this one cannot. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { type Block, blocksOf, type Kernel, runDocument } from "../fakes/document.ts";
import { noExtensions } from "../fakes/extension-test.ts";
import { bpftool, sh, until } from "../fakes/kernel-lab.ts";
import { tcxAvailable } from "../fakes/tcx-test.ts";

const ROOT = resolve(import.meta.dir, "../..");
const DOCUMENT_LIMIT_MS = 300_000;
const KERNEL: Kernel = { ext: noExtensions === null, tcx: tcxAvailable };

const DOCUMENTS = ["*.md", "docs/**/*.md"]
  .flatMap((pattern) => [...new Bun.Glob(pattern).scanSync({ cwd: ROOT })])
  .sort();
const isRun = (block: Block): boolean => block.language === "sh" && block.attributes["run-by"] === undefined;
const executable = DOCUMENTS.filter((path) => blocksOf(path).some(isRun));

/** What a document asks of the kernel that it does not have. */
const missing = (path: string): string[] => [
  ...new Set(
    blocksOf(path)
      .flatMap(({ attributes }) => (attributes.needs ?? "").split(","))
      .filter((need) => need !== "" && !KERNEL[need]),
  ),
];

let made = 0;
let near = "";
beforeEach(async () => {
  near = `bpfman-docs-${process.pid}-${made++}`;
  for (const name of [near, `${near}-far`]) sh("ip", "netns", "add", name);
  sh("ip", "-n", near, "link", "add", "eth0", "type", "veth", "peer", "name", "eth1", "netns", `${near}-far`);
  sh("ip", "-n", near, "address", "add", "10.99.0.1/24", "dev", "eth0");
  sh("ip", "-n", `${near}-far`, "address", "add", "10.99.0.2/24", "dev", "eth1");
  sh("ip", "-n", near, "link", "set", "lo", "up");
  sh("ip", "-n", near, "link", "set", "eth0", "up");
  sh("ip", "-n", `${near}-far`, "link", "set", "eth1", "up");
  const ping = ["ip", "netns", "exec", near, "ping", "-q", "-c", "1", "-W", "1", "10.99.0.2"];
  await until(() => Bun.spawnSync(ping).exitCode === 0);
});
afterEach(() => {
  for (const name of [near, `${near}-far`]) sh("ip", "netns", "delete", name);
});

const loaded = (): number[] => (bpftool("prog") as { id: number }[]).map((program) => program.id);

describe("documents", () => {
  test.each(
    executable.map((path) => [
      `${path}${missing(path).length > 0 ? ` (but for blocks that need ${missing(path)})` : ""}`,
      path,
    ]),
  )(
    "%s",
    async (_, path) => {
      const before = new Set(loaded());
      const { code, output } = await runDocument(path as string, KERNEL, `/run/netns/${near}`);
      if (code !== 0) throw new Error(`${path} ended with exit code ${code}:\n${output}`);
      // What it says is printed is what was printed.
      for (const { language, text, line, attributes } of blocksOf(path as string)) {
        if (language !== "text" || attributes["run-by"] !== undefined) continue;
        expect([line, output]).toEqual([line, expect.stringContaining(text)]);
      }
      // They clean up what they made: nothing is left in the kernel.
      await until(() => loaded().every((id) => before.has(id)));
    },
    DOCUMENT_LIMIT_MS,
  );

  test("have no command that nobody runs", () => {
    const commands = /^\s*(sudo |\$ )?(bpfman|dist\/bpfman|npm|bun|apt|apt-get|podman|docker|systemctl|clang) /m;
    const loose = DOCUMENTS.flatMap((path) =>
      blocksOf(path)
        .filter(({ language, attributes, text }) => {
          if (language === "sh") return false;
          // Usage lines of the reference and tables of measurements are no commands; a file is run by what follows it.
          const isOutput = path === "docs/cli.md" || path === "docs/benchmarks.md";
          return commands.test(text) && !isOutput && attributes.file === undefined;
        })
        .map(({ line }) => `${path}:${line}`),
    );
    expect(loose).toEqual([]);
  });

  test("name a test for what is run elsewhere, which names the document's command", () => {
    for (const path of DOCUMENTS) {
      for (const { attributes, text, line } of blocksOf(path)) {
        const other = attributes["run-by"];
        if (other === undefined) continue;
        expect([`${path}:${line}`, existsSync(join(ROOT, other))]).toEqual([`${path}:${line}`, true]);
        if (other === "package.json") {
          const { scripts }: { scripts: Record<string, string> } = JSON.parse(readFileSync(join(ROOT, other), "utf8"));
          for (const [, script = "", short = ""] of text.matchAll(/\b(?:npm|bun) (?:run ([a-z:]+)|(test))/g)) {
            expect(scripts[script || short]).toBeString();
          }
        }
      }
    }
  });
});
