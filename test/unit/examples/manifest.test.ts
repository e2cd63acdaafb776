/** What the extension for Visual Studio Code declares, beside what the server has and the documents say. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { COMMANDS } from "../../../lsp/commands.ts";
import { SETTINGS_DEFAULT } from "../../../lsp/settings.ts";
import { blocksOf } from "../../documents/document.ts";

const EXTENSION = resolve(import.meta.dir, "../../../examples/vscode");
const { contributes, capabilities } = JSON.parse(readFileSync(join(EXTENSION, "package.json"), "utf8"));
const properties: Record<string, { default: unknown; scope: string }> = contributes.configuration.properties;
const declared: string[] = contributes.commands.map(({ command }: { command: string }) => command);

test("its commands are not the server's, which the editor's client registers", () => {
  const shared = declared.filter((name) => COMMANDS.some((each) => each === name));
  // That one is only given a name for the palette.
  expect(shared).toEqual(["bpfman.restart"]);
  const source = readFileSync(join(EXTENSION, "src/extension.ts"), "utf8");
  const registered = [...source.matchAll(/register\("([\w.]+)"/g)].map(([, name]) => name);
  expect([...registered, ...shared].toSorted()).toEqual(declared.toSorted());
});

test("a workspace has no say in what is started, and compiles nothing until it is trusted", () => {
  for (const name of ["executable", "helper", "arguments", "cleanup", "counters"])
    expect([name, properties[`bpfman.${name}`]?.scope]).toEqual([name, "machine"]);
  expect(capabilities.untrustedWorkspaces.supported).toBe("limited");
});

test("the server's settings have its defaults", () => {
  for (const [name, value] of Object.entries(SETTINGS_DEFAULT)) {
    expect([name, properties[`bpfman.${name}`]]).toMatchObject([name, { default: value, scope: "resource" }]);
  }
});

test("the documents set what there is", () => {
  const block = blocksOf("docs/howto/editor.md").find(({ language }) => language === "json");
  for (const [name, value] of Object.entries(JSON.parse(block?.text ?? "") as Record<string, unknown>)) {
    expect([name, typeof value]).toEqual([name, typeof properties[name]?.default]);
  }
  const readme = readFileSync(join(EXTENSION, "README.md"), "utf8");
  const rows = [...readme.matchAll(/^\| `(bpfman\.\w+)` \| `(.+?)` \|/gm)].map(([, name, value]) => [name, value]);
  const wanted = Object.entries(properties).map(([name, each]) => [
    name,
    typeof each.default === "string" ? each.default : JSON.stringify(each.default),
  ]);
  expect(rows).toEqual(wanted);
});
