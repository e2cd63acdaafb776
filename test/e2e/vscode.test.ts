/**
 * Runs the example extension, built as in its README, in Node.js with a stand-in for the editor, against the executable
 * on the real kernel.
 */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import packageJson from "../../package.json" with { type: "json" };
import { COMMANDS } from "../../lsp/commands.ts";
import { buildBpf } from "../../scripts/build-bpf.ts";
import { type Conversation, converse } from "../labs/conversation.ts";
import { blocksOf } from "../documents/document.ts";
import { executable } from "../labs/executable.ts";
import { extensionTest } from "../labs/extension-test.ts";
import { bpftool, cable, inKernel } from "../labs/kernel-lab.ts";
import { realNode } from "../labs/node.ts";
import { temporaryDirectory } from "../labs/temporary-directory.ts";

buildBpf();
const ROOT = resolve(import.meta.dir, "../..");
const OBJECT = join(ROOT, "dist/bpf/examples/packet_counter.bpf.o");
const manifest = JSON.parse(readFileSync(join(ROOT, "examples/vscode/package.json"), "utf8"));

interface Shown {
  readonly tree: readonly string[];
  readonly messages: readonly string[];
  readonly status: string | null;
  readonly commands: readonly string[];
}

const bpfman = executable();
const directory = temporaryDirectory();
const wire = cable();
let editor: Conversation;

/** Runs what the README says, where the editor is a program that keeps what it is to open. Answers that directory. */
function openAsInReadme(): string {
  const block = blocksOf("examples/vscode/README.md").find(({ text }) => text.includes("build:vscode"));
  writeFileSync(directory.path("code"), `#!/bin/sh\nprintf '%s' "$*" >'${directory.path("opened")}'\n`, {
    mode: 0o755,
  });
  const env = { ...process.env, PATH: `${directory.path()}:${process.env.PATH}` };
  const ran = Bun.spawnSync(["bash", "-euc", block?.text ?? "false"], { cwd: ROOT, env, stderr: "pipe" });
  expect({ code: ran.exitCode, error: String(ran.stderr) }).toMatchObject({ code: 0 });
  return readFileSync(directory.path("opened"), "utf8").replace(/^--extensionDevelopmentPath=/, "");
}

beforeEach(() => {
  const extension = join(openAsInReadme(), manifest.main);
  const [path = "", ...options] = bpfman.command();
  // The interfaces to attach to are those of this namespace.
  const settings = { executable: path, helper: ["nsenter", `--net=${wire.netns}`], arguments: options };
  editor = converse([realNode(), join(ROOT, "test/labs/vscode-editor.cjs"), extension, JSON.stringify(settings)], {
    PATH: process.env.PATH ?? "",
  });
});
afterEach(async () => {
  editor.kill("SIGKILL");
  await editor.end();
});

async function order(given: object): Promise<Shown> {
  editor.say(JSON.stringify(given));
  return JSON.parse(await editor.line());
}
const load = { run: "bpfman.tree.load", argument: { fsPath: OBJECT } };
const idIn = (line = ""): number => Number(/· (\d+)/.exec(line)?.[1]);

test("loads from a file, attaches, detaches and unloads from the tree", async () => {
  const begun = await order({ run: "bpfman.tree.refresh" });
  expect(begun).toMatchObject({ tree: [], messages: [] });
  expect([...begun.commands].sort()).toEqual(
    manifest.contributes.commands
      .map((each: { command: string }) => each.command)
      .filter((name: string) => !COMMANDS.some((each) => each === name))
      .sort(),
  );

  const offered = await order({ ...load, answers: [["tracepoint:count_openat"]] });
  const programs = "count_packets, tracepoint:count_openat";
  expect(offered.messages).toEqual([`pick: Load from ${OBJECT}: ${programs}`]);
  const loaded = await order({ until: "count_openat" });
  const id = idIn(loaded.tree[0]);
  expect(loaded.tree).toEqual([`count_openat | tracepoint · ${id} | program`]);
  expect(bpftool("prog", "show", "id", String(id))).toMatchObject({ name: "count_openat" });

  const attached = await order({
    run: "bpfman.tree.attach",
    node: "count_openat",
    answers: ["syscalls/sys_enter_openat"],
  });
  expect(attached.messages).toEqual([
    expect.stringMatching(/^pick: Attach count_openat: Tracepoint, as CATEGORY\/NAME: \w+\/\w+, /),
  ]);
  const { tree, status } = await order({ until: "sys_enter_openat" });
  expect(status).toBe("$(circuit-board) eBPF: 1 program, 1 link");
  expect(tree[1]).toMatch(/^ {2}tracepoint syscalls\/sys_enter_openat \| link \d+ \| link$/);
  const [{ kernel_link_id = 0 } = {}] = await bpfman.links();
  expect(bpftool("link", "show", "id", String(kernel_link_id))).toMatchObject({ prog_id: id });

  await order({ run: "bpfman.tree.detach", node: "sys_enter_openat" });
  expect(inKernel("link", kernel_link_id ?? 0)).toBe(false);
  await order({ run: "bpfman.tree.unload", node: "count_openat" });
  expect(inKernel("prog", id)).toBe(false);
  expect(await order({ run: "bpfman.tree.refresh" })).toMatchObject({ tree: [], messages: [] });
});

test("shows what commands in a shell do, by itself", async () => {
  await order({ run: "bpfman.tree.refresh" });
  const [program] = await bpfman.load(OBJECT, "--programs", "tracepoint:count_openat", "-a", "shell");
  const { tree } = await order({ until: "count_openat" });
  expect(tree).toEqual([`count_openat | tracepoint · ${program?.record?.program_id} · shell | program`]);
});

test("takes what it loaded along when the window is closed", async () => {
  await order({ ...load, answers: [["tracepoint:count_openat"]] });
  const { tree } = await order({ until: "count_openat" });
  expect(inKernel("prog", idIn(tree[0]))).toBe(true);
  await order({ end: true });
  expect(inKernel("prog", idIn(tree[0]))).toBe(false);
});

test("tells what went wrong with a hint, and nothing when the user changes his mind", async () => {
  const refused = await order({ ...load, argument: { fsPath: "/bin/true" } });
  expect(refused.messages).toHaveLength(1);
  expect(refused.messages[0]).toMatch(
    /^error: bpfman: cannot read object file ".*true": .*not for eBPF\. Hint: compile with clang/,
  );
  for (const answers of [[], [[]]]) expect((await order({ ...load, answers })).messages).toHaveLength(1);
  expect((await order({ run: "bpfman.tree.refresh" })).tree).toEqual([]);
});

test("asks as what to load a program whose section fits several types, so that all can be chosen", async () => {
  const all = ["count_packets", "tracepoint:count_openat"];
  const { messages } = await order({ ...load, answers: [all, "tc"] });
  expect(messages.at(-1)).toBe("pick: Load count_packets as: tc:count_packets, tcx:count_packets");
  expect((await bpfman.programs()).length).toBe(0);
  await order({ ...load, answers: [all, "tc:count_packets"] });
  const { tree } = await order({ until: "count_openat" });
  expect(tree.map((line) => line.replace(/\d+/, "N"))).toEqual([
    "count_packets | tc · N | program",
    "count_openat | tracepoint · N | program",
  ]);
});

test("shows the line of C that the verifier refuses", async () => {
  const refused = join(ROOT, "dist/bpf/fixtures/refused.bpf.o");
  const answers = [["reads_null"], "tc:reads_null", "Show Source"];
  const { messages } = await order({ ...load, argument: { fsPath: refused }, answers });
  const [error, shown] = messages.filter((message) => /^(error|shown)/.test(message));
  expect(error).toMatch(/the verifier rejected it: .*\. At .*refused\.bpf\.c:26\. Hint: compare the pointer/);
  expect(shown).toMatch(/^shown: .*refused\.bpf\.c:26$/);
});

test("offers the interfaces of the machine, and asks for the rest", async () => {
  await order({ ...load, answers: [["count_packets"], "tcx:count_packets"] });
  const { tree } = await order({ until: "count_packets" });
  const asked = await order({ run: "bpfman.tree.attach", node: "count_packets", answers: [wire.interface, "egress"] });
  expect(asked.messages).toEqual([
    expect.stringMatching(/^pick: Attach count_packets: Network interface: (.*, )?veth0(,|$)/),
    "pick: Direction: ingress, egress",
    "input: Priority, 0 to 1000: lower runs first",
  ]);
  // The user left at the last question.
  expect(asked.tree).toEqual([...tree]);
});

test("says so when the server dies, and starts it again", async () => {
  await order({ run: "bpfman.tree.refresh" });
  process.kill(Number(readFileSync(`/proc/${editor.pid}/task/${editor.pid}/children`, "utf8")), "SIGKILL");
  await bpfman.load(OBJECT, "--programs", "tracepoint:count_openat");
  const messages: string[] = [];
  let shown = await order({ run: "bpfman.tree.refresh" });
  for (; shown.tree.length === 0; shown = await order({ run: "bpfman.tree.refresh" })) messages.push(...shown.messages);
  messages.push(...shown.messages);
  expect(messages.join("\n")).toContain("warning: bpfman: the server ended by SIGKILL");
  expect(shown.tree[0]).toContain("count_openat");
});

extensionTest("shows a chain with its members in their order", async () => {
  const place = ["-i", wire.interface, "-d", "ingress", "--netns", wire.netns, "--priority"];
  const ids: number[] = [];
  for (const priority of ["60", "40"]) {
    const [program] = await bpfman.load(OBJECT, "--programs", "tc:count_packets");
    const id = program?.record?.program_id ?? 0;
    await bpfman.attach(id, "tc", ...place, priority);
    ids.unshift(id);
  }
  await order({ run: "bpfman.tree.refresh" });
  const { tree } = await order({ until: "chain of 2" });
  expect(tree.slice(tree.findIndex((line) => line.includes("chain of")))).toEqual([
    "tc-ingress on veth0 | chain of 2 | chain",
    `  count_packets | priority 40 · program ${ids[0]} | member`,
    `  count_packets | priority 60 · program ${ids[1]} | member`,
  ]);
});

test("is packaged without a warning, the same bytes each time", () => {
  const vsix = join(ROOT, `dist/packages/bpfman-${packageJson.version}.vsix`);
  const [first, second] = [1, 2].map(() => {
    const ran = Bun.spawnSync(["npm", "run", "package:vscode"], { cwd: ROOT, stdout: "pipe", stderr: "pipe" });
    expect({ code: ran.exitCode, said: `${ran.stdout}${ran.stderr}` }).toEqual({
      code: 0,
      said: expect.not.stringMatching(/warn|error/i),
    });
    return { bytes: Bun.hash(readFileSync(vsix)), said: String(ran.stdout) };
  });
  expect(second).toEqual(first as NonNullable<typeof first>);
  const files = [...(first?.said ?? "").matchAll(/[├└]─ (\S+\.\w+|LICENSE\S*)/g)].map(([, name]) => name);
  expect(files.toSorted()).toEqual(
    [
      ...["LICENSE.txt", "[Content_Types].xml", "events.js", "extension.js", "extension.vsixmanifest", "icon.png"],
      ...["map.js", "package.json", "page.css", "readme.md", "THIRD-PARTY.txt"],
    ].toSorted(),
  );
  const staged = (name: string) => readFileSync(join(ROOT, "dist/vscode", name), "utf8");
  // What is bundled comes with its licences, and the README with its pictures: an editor has no repository at hand.
  for (const name of ["vscode-jsonrpc", "vscode-languageclient", "semver"])
    expect(staged("THIRD-PARTY.txt")).toMatch(new RegExp(`^${name} \\d+\\.\\d+\\.\\d+: .+\n\n\\S`, "m"));
  const targets = [...staged("README.md").matchAll(/\]\(([^)]{1,30})/g)].map(([, target]) => target);
  expect(targets).toEqual(Array(2).fill("data:image/png;base64,iVBORw0K"));
});
