/**
 * `bpfman lsp` with clients that are not ours: Neovim, configured by docs/howto/editor.md, and in Node.js the client of the
 * library on which VS Code's is built. VS Code's own client runs in VS Code only.
 */
import { expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { blocksOf } from "../documents/document.ts";
import { BPFMAN, executable } from "../labs/executable.ts";
import { LanguageClient } from "../labs/language-client.ts";
import { realNode } from "../labs/node.ts";

const ROOT = resolve(import.meta.dir, "../..");
const PAGE = "docs/howto/editor.md";
const bpfman = executable();

const text = (fixed: boolean): string => `#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
struct {
\t__uint(type, BPF_MAP_TYPE_HASH);
\t__uint(max_entries, 4);
\t__type(key, __u32);
\t__type(value, __u64);
} numbers SEC(".maps");
SEC("tcx/ingress") int count(struct __sk_buff *skb)
{
\t__u32 key = 0;
\t__u64 *value = bpf_map_lookup_elem(&numbers, &key);
\t/* ü𝄞 */ ${fixed ? "if (value) " : ""}*value += 1;
\treturn 0;
}
`;
const LINE = 12;
const REFUSED = `the verifier refuses "count": R0 invalid mem access 'map_value_or_null'`;

function source(name: string, contents = text(false)): string {
  const path = bpfman.path(name);
  writeFileSync(path, contents);
  return path;
}

/** The block of a language in the page. */
const blockOf = (language: string): string =>
  blocksOf(PAGE).find((block) => block.language === language)?.text ?? "there is none";

/** A directory with `bpfman`, in the state of this test, and with a `sudo` that gives what this test has anyway. */
function commands(): Record<string, string> {
  const directory = bpfman.path("commands");
  mkdirSync(directory);
  const script = (name: string, line: string) =>
    writeFileSync(join(directory, name), `#!/bin/sh\n${line}\n`, { mode: 0o755 });
  script("bpfman", `exec '${BPFMAN}' --runtime-dir '${bpfman.runtimeDir}' "$@"`);
  script("sudo", '[ "$1" = -n ] || exit 1\nshift\nexec "$@"');
  return { PATH: `${directory}:${process.env.PATH}` };
}

test("Neovim, as the page says: the refusal at its line, nothing after the fix, and the hover", async () => {
  const init = source("init.lua", blockOf("lua"));
  const path = source("count.bpf.c");
  const home = bpfman.path("home");
  const env = { ...commands(), HOME: home, XDG_STATE_HOME: home, XDG_CACHE_HOME: home, SOURCE: path };
  const steps = join(ROOT, "test/labs/neovim-steps.lua");
  const command = ["nvim", "--headless", "-u", init, "-i", "NONE", "-n", "-c", `luafile ${steps}`];
  const child = Bun.spawn(command, { env, stdio: ["ignore", "pipe", "pipe"] });
  const [out, error] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  const said = out.split("\n").flatMap((line) => (line.startsWith("{") ? [JSON.parse(line)] : []));
  const seen = Object.fromEntries(said.map(({ step, value }) => [step, value]));
  expect({ steps: Object.keys(seen), error: seen.failed ?? (said.length === 0 ? error : "") }).toEqual({
    steps: ["refused", "hover of the refused", "fixed", "hover of the fixed", "lenses", "the first lens"],
    error: "",
  });
  expect(seen.refused).toHaveLength(1);
  // Neovim counts columns in bytes.
  const col = Buffer.byteLength("\t/* ü𝄞 */ *value ");
  expect(seen.refused[0]).toMatchObject({ lnum: LINE, col, end_col: col + "+= 1;".length, source: "bpfman" });
  expect(seen.refused[0].message).toStartWith(REFUSED);
  expect(seen["hover of the refused"]).toContain("Refused by Linux");
  expect(seen.fixed).toEqual([]);
  expect(seen["hover of the fixed"]).toMatch(/- instructions: \d+/);
  expect(seen.lenses).toEqual(["Load", "Attach…", "Detach", expect.stringMatching(/^\d+ instructions$/)]);
  const [loaded, ...others] = await bpfman.programs();
  expect(others).toEqual([]);
  expect(seen["the first lens"]).toBe(`loaded "count" as program ${loaded?.program_id}`);
}, 120_000);

test("Helix and Emacs, by the commands and options in the page", async () => {
  const { "language-server": servers } = Bun.TOML.parse(blockOf("toml")) as {
    "language-server": { bpfman: { command: string; args: string[]; config: unknown } };
  };
  const { command, args, config } = servers.bpfman;
  const words = [...blockOf("elisp").matchAll(/"([^"]*)"/g)].map(([, word = ""]) => word);
  expect(words[0]).toBe("bpfman");
  const path = source("count.bpf.c");
  const env = commands();
  const [directory = ""] = (env.PATH ?? "").split(":");
  for (const [name, line, initializationOptions] of [
    ["Helix", [command, ...args], config],
    ["Emacs", words, {}],
  ] as const) {
    const [executable = "", ...rest] = line;
    const client = await LanguageClient.start([join(directory, executable), ...rest], { env, initializationOptions });
    const [refused] = await client.open(path);
    expect([name, refused?.message]).toEqual([name, expect.stringContaining(REFUSED)]);
    expect([name, await client.stop(), client.messages]).toEqual([name, 0, []]);
  }
});

test("the library's client in Node.js", async () => {
  const script = join(ROOT, "test/labs/language-client-node.mjs");
  const fixed = source("fixed.c", text(true));
  const command = [realNode(), script, source("count.bpf.c"), fixed, ...bpfman.command("lsp", "--stdio")];
  const child = Bun.spawn(command, { env: { PATH: process.env.PATH }, stdio: ["ignore", "pipe", "pipe"] });
  const [out, error] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  expect({ code: child.exitCode, error }).toEqual({ code: 0, error: "" });
  const said = JSON.parse(out);
  expect(said).toMatchObject({ code: 0, bun: null, after: [], refused: [{ range: { start: { line: LINE } } }] });
  expect(said.refused[0].message).toStartWith(REFUSED);
  expect(said.refused[0].relatedInformation.length).toBeGreaterThan(0);
  expect(said.hover.contents.value).toMatch(/- instructions: \d+/);
  expect(said.lenses.map(({ command }: { command: { title: string } }) => command.title)).toEqual([
    ...["Load", "Attach…", "Detach"],
    expect.stringMatching(/^\d+ instructions$/),
  ]);
  expect(said.capabilities.executeCommandProvider.commands).toContain("bpfman.load");
});
