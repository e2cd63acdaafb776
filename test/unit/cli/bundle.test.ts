/** What the executable is made of: cleye without its terminal, loaded by lines that have something to parse. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bundle } from "../../../scripts/bundle.ts";

interface Metafile {
  readonly inputs: Readonly<Record<string, unknown>>;
  readonly outputs: Readonly<Record<string, { readonly inputs: Readonly<Record<string, unknown>> }>>;
}

let directory = "";
let meta: Metafile = { inputs: {}, outputs: {} };

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "bpfman-bundle-"));
  const { metafile } = await bundle({ directory }, "none");
  meta = metafile as unknown as Metafile;
  // Whoever looks at it, a library as it is imported above all, is found out.
  const trap = `Object.defineProperty(process, "stdout", { get() { require("node:fs").writeSync(2, "READ STDOUT"); } });`;
  writeFileSync(join(directory, "trap.js"), trap);
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Runs the bundle where no runtime directory can be, so that nothing is loaded, mounted or attached. */
function bpfman(...args: readonly string[]): { code: number; out: string; err: string } {
  const run = Bun.spawnSync(
    [process.execPath, "--preload", join(directory, "trap.js"), join(directory, "main.js"), ...args],
    { cwd: directory, env: { ...process.env, BPFMAN_RUNTIME_DIR: "/dev/null/bpfman" } },
  );
  return { code: run.exitCode, out: run.stdout.toString(), err: run.stderr.toString() };
}

test("the bundle has cleye, and neither ansis nor terminal-columns", () => {
  const packages = Object.keys(meta.inputs).flatMap((path) => /node_modules\/([^/]+)/.exec(path)?.[1] ?? []);
  expect(packages).toContain("cleye");
  expect(packages.filter((name) => ["ansis", "terminal-columns"].includes(name))).toEqual([]);
});

describe("no command reads process.stdout", () => {
  test("which the trap would notice", () => {
    writeFileSync(join(directory, "reader.js"), "process.stdout;");
    const run = Bun.spawnSync([
      process.execPath,
      "--preload",
      join(directory, "trap.js"),
      join(directory, "reader.js"),
    ]);
    expect(run.stderr.toString()).toBe("READ STDOUT");
  });
  test.each([
    "--help",
    "version -o json",
    "help attach tcx",
    "completions bash",
    "image generate-build-args -b nowhere.o",
    "list programs --all",
    "program list -q",
    "get link 1 -o json",
    "attach 1 tcx --iface lo --direction ingress --priority 5",
    "load file --path nowhere.o --programs xdp:a",
    "detach 1",
    "attach 1 tcx --bogus",
    "rpc --openrpc",
  ])("%s", (line) => {
    expect(bpfman(...line.split(" ")).err).not.toContain("READ STDOUT");
  });
});

test("--help, version and a line without options do not load cleye; a line with some does", () => {
  const chunk = Object.entries(meta.outputs).find(([, { inputs }]) =>
    Object.keys(inputs).some((path) => path.includes("node_modules/cleye/")),
  );
  const path = join(directory, chunk?.[0] ?? "");
  const text = readFileSync(path, "utf8");
  rmSync(path);
  for (const line of [["--help"], ["attach", "tcx", "--help"], ["version"], ["--version"]]) {
    expect({ line, code: bpfman(...line).code }).toEqual({ line, code: 0 });
  }
  expect(bpfman("version", "-o", "json").code).not.toBe(0);
  writeFileSync(path, text);
  expect(bpfman("version", "-o", "json").code).toBe(0);
});

test("the YAML library is loaded to read or write a document, and for nothing else", () => {
  const chunks = Object.entries(meta.outputs).filter(([, { inputs }]) =>
    Object.keys(inputs).some((path) => path.includes("node_modules/yaml/")),
  );
  expect(chunks.length).toBeGreaterThan(0);
  const texts = chunks.map(([path]) => [join(directory, path), readFileSync(join(directory, path), "utf8")] as const);
  writeFileSync(join(directory, "state.yaml"), "nothing: 1\n");
  const lines = [
    "--help",
    "apply --help",
    "list programs --all",
    "load file --path nowhere.o --programs xdp:a",
    "rpc --openrpc",
  ];
  // What is loaded on this machine changes.
  const said = () => lines.map((line) => bpfman(...line.split(" "))).map(({ code, err }) => ({ code, err }));
  const before = said();
  for (const [path] of texts) rmSync(path);
  expect(said()).toEqual(before);
  const apply = () => bpfman("apply", join(directory, "state.yaml")).err;
  expect(apply()).not.toContain('unknown field "nothing"');
  for (const [path, text] of texts) writeFileSync(path, text);
  expect(apply()).toContain('unknown field "nothing"');
});
