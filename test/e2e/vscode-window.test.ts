/**
 * The extension in a real Visual Studio Code, installed from its package as its README says, driven by clicks and keys. The
 * editor is installed by `npm run test:editor`, which also makes the pictures in docs/pictures.
 */
import { expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { MapListAnswer } from "../../src/domain/answer.ts";
import { missingEditor } from "../../scripts/editor.ts";
import { blocksOf } from "../documents/document.ts";
import { cleanUpAfterEach } from "../labs/clean-up.ts";
import { EditorWindow } from "../labs/editor-window.ts";
import { BPFMAN, executable } from "../labs/executable.ts";
import { cable, counters, until } from "../labs/kernel-lab.ts";

const SOURCE = `#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
\t__uint(type, BPF_MAP_TYPE_ARRAY);
\t__uint(max_entries, 4);
\t__type(key, __u32);
\t__type(value, __u64);
} packets SEC(".maps");

struct packet {
\t__u32 bytes;
} const *unused;

struct {
\t__uint(type, BPF_MAP_TYPE_RINGBUF);
\t__uint(max_entries, 4096);
} sizes SEC(".maps");

SEC("tcx/ingress")
int count(struct __sk_buff *skb)
{
\t__u32 key = skb->len / 64;
\t__u64 *seen = bpf_map_lookup_elem(&packets, &key);
\tstruct packet packet = {.bytes = skb->len};

\t*seen += 1;
\tbpf_ringbuf_output(&sizes, &packet, sizeof(packet), 0);
\treturn -1;
}
`;
const REFUSED = SOURCE.split("\n").findIndex((line) => line.includes("*seen += 1")) + 1;

/** The entry in which pings of 98 bytes are counted. */
const PINGS = 1;

const bpfman = executable();
const wire = cable();
let window: EditorWindow | null = null;
cleanUpAfterEach(async () => {
  await window?.close();
  window = null;
});

const install = (): string =>
  blocksOf("examples/vscode/README.md").find(({ text }) => text.includes("package:vscode"))?.text ?? "false";

const folder = (): string => bpfman.path("sources");

async function open(text: string): Promise<EditorWindow> {
  mkdirSync(folder());
  writeFileSync(join(folder(), "count.bpf.c"), text);
  const [, ...options] = bpfman.command();
  return EditorWindow.open(bpfman.path("home"), {
    ...{ folder: folder(), install: install() },
    settings: {
      "bpfman.executable": BPFMAN,
      // The interfaces to attach to are those of this namespace.
      "bpfman.helper": ["nsenter", `--net=${wire.netns}`],
      "bpfman.arguments": options,
    },
  });
}

const TREE = ".pane[aria-label*='Programs'] .monaco-list-row, .monaco-list[aria-label*='Programs'] .monaco-list-row";
const LENS = ".codelens-decoration a";
const SQUIGGLE = ".squiggly-error";

const reason = process.env.BPFMAN_EDITOR === "1" ? missingEditor() : "npm run test:editor runs it";
const name = "a refused program is fixed, loaded, attached and watched in the editor";
async function walk(): Promise<void> {
  const editor = await open(SOURCE);
  window = editor;

  // In a folder that is not trusted, there is the outline, and nothing is compiled.
  await editor.click(".explorer-folders-view .monaco-list-row", "count.bpf.c", 2);
  await editor.command("Explorer: Focus on Outline View");
  await editor.see(".outline-pane .monaco-list-row", "count");
  expect(await editor.texts(LENS)).toEqual([]);
  await editor.command("Workspaces: Manage Workspace Trust");
  await editor.click(".workspace-trust-editor .monaco-button", "Trust");
  await editor.see(".workspace-trust-editor", "You trust this folder");
  await editor.command("View: Close Editor");
  await editor.click(".explorer-folders-view .monaco-list-row", "count.bpf.c", 2);

  // The refusal at its line, in the list of problems, and over the program.
  await editor.see(SQUIGGLE);
  await editor.see(LENS, "refused");
  expect(await editor.texts(LENS)).toEqual(["Load", "Attach…", "Detach", "refused"]);
  await editor.command("Problems: Focus on Problems View");
  await editor.see(".markers-panel .monaco-list-row", `the verifier refuses "count": R`);
  await editor.see(".markers-panel .monaco-list-row", `Ln ${REFUSED}`);
  await editor.click(".markers-panel .monaco-list-row", "the verifier refuses", 2);
  await editor.see(SQUIGGLE);
  await editor.picture("vscode-refused");

  // It goes with the fix.
  await editor.toStartOf(REFUSED);
  await editor.page.keyboard.type("if (seen) ");
  await editor.press("Control", "S");
  await editor.see(LENS, "instructions");
  await editor.miss(SQUIGGLE);

  await editor.click(LENS, "Load");
  // The kernel has the program a moment before the load is complete.
  let [loaded] = await bpfman.programs();
  for (; loaded === undefined; [loaded] = await bpfman.programs()) await Bun.sleep(100);
  expect(loaded).toMatchObject({ type: "tcx", record: { load: { source_path: join(folder(), "count.bpf.c") } } });

  await editor.click(LENS, "Attach…");
  await editor.answer(wire.interface);
  await editor.answer("ingress");
  await editor.accept("50");
  await editor.see(".notification-list-item", 'attached "count" with link');
  const [link] = await bpfman.links();
  expect(link).toMatchObject({ kind: "tcx", details: { interface: wire.interface, priority: 50 } });
  await editor.click(".activitybar a[aria-label='eBPF']");
  await editor.see(TREE, `tcx on ${wire.interface} ingress, priority 50`);

  // What is counted in the map grows with the packets.
  const shown = async (): Promise<number> => Number((await editor.texts("td.value", page))[PINGS] ?? 0);
  wire.ping(3);
  await editor.click(TREE, "packets");
  const page = await editor.frame("td.value");
  await editor.see("th", "value: __u64", page);
  const first = await shown();
  expect(first).toBeGreaterThan(0);
  await untilAsync(async () => {
    wire.ping(3);
    return (await shown()) > first;
  });

  // A value that is changed is changed in the kernel.
  await editor.click("tr:nth-child(2) td.value", "", 2, page);
  await editor.page.keyboard.type("1000000000");
  await editor.press("Enter");
  await editor.see("td.value", "10000000", page);
  const map = (await bpfman.json<MapListAnswer>("map", "list")).maps.find((each) => each.name === "packets");
  await until(() => (counters(map?.id ?? 0)[PINGS] ?? 0) >= 1_000_000_000);

  // Events are followed in the panel.
  await editor.click(TREE, "sizes");
  const events = await editor.frame("time");
  await editor.see("header", "following", events);
  await editor.see("td", '{"bytes":98}', events);
  const before = (await editor.texts("tr", events)).length;
  wire.ping(3);
  await untilAsync(async () => (await editor.texts("tr", events)).length >= before + 3);

  // Runs are counted in the tree.
  await editor.command("Notifications: Clear All Notifications");
  await untilAsync(async () => {
    wire.ping(3);
    return (await editor.texts(TREE)).some((each) => /· [1-9][\d.,]*\/s/.test(each));
  });
  await editor.picture("vscode-map");

  await editor.click(".tab", "count.bpf.c");
  await editor.click(LENS, "Detach");
  await editor.see(".notification-list-item", 'detached "count"');
  expect(await bpfman.links()).toEqual([]);
}

async function untilAsync(look: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    if (await look()) return;
    await Bun.sleep(100);
  }
  expect(await look()).toBe(true);
}
if (reason === null) test(name, walk, 300_000);
else test.skip(`${name} (skipped: ${reason})`, walk);
