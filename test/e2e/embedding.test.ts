/** Runs every block of code in docs/embedding.md, with the built executable as the `bpfman` in PATH. */
import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { buildBpf } from "../../scripts/build-bpf.ts";
import { executable } from "../labs/executable.ts";
import { realNode } from "../labs/node.ts";
import { temporaryDirectory } from "../labs/temporary-directory.ts";

buildBpf();
const ROOT = resolve(import.meta.dir, "../..");
const OBJECT = join(ROOT, "dist/bpf/examples/packet_counter.bpf.o");
const BLOCKS = [...readFileSync(join(ROOT, "docs/embedding.md"), "utf8").matchAll(/^```(\w*)\n(.*?)^```\n/gms)].map(
  ([, language = "", code = ""]) => ({ language, code }),
);

const bpfman = executable();
const directory = temporaryDirectory();

/** The block of that language in which these words stand. */
function block(language: string, words: string): string {
  const found = BLOCKS.filter((each) => each.language === language && each.code.includes(words));
  expect(found).toHaveLength(1);
  return found[0]?.code ?? "";
}

/** Runs a command in the repository; it must succeed and say nothing on stderr. Answers what it printed. */
async function run(...command: readonly string[]): Promise<string> {
  const env = { PATH: `${join(ROOT, "dist")}:${process.env.PATH}`, BPFMAN_RUNTIME_DIR: bpfman.runtimeDir };
  const child = Bun.spawn([...command], { cwd: ROOT, env, stdio: ["ignore", "pipe", "pipe"] });
  const [out, error, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  expect({ command, code, error }).toEqual({ command, code: 0, error: "" });
  return out;
}

/** Writes a block to a file of its own, with paths that are true here. */
function write(name: string, code: string): string {
  const path = directory.path(name);
  writeFileSync(path, code.replace('"../', `"${ROOT}/`).replace("/srv/packet_counter.bpf.o", OBJECT));
  return path;
}

test("no block is left out here", () => {
  expect(BLOCKS.map((each) => each.language)).toEqual(["sh", "sh", "ts", "js", "sh", "sh"]);
});

test("frames in a shell", async () => {
  const out = await run("sh", "-c", block("sh", "frame()"));
  const bodies = out.split(/Content-Length: \d+\r\n\r\n/).slice(1);
  const [begun, version] = bodies.map((body) => JSON.parse(body));
  expect(begun).toMatchObject({ id: 1, result: { protocolVersion: 1 } });
  expect(version).toMatchObject({ id: 2, result: { version: begun.result.serverInfo.version } });
});

test("the OpenRPC document", async () => {
  const document = JSON.parse(await run("sh", "-c", block("sh", "--openrpc")));
  expect(document).toMatchObject({ openrpc: "1.3.2", info: { title: "bpfman" } });
});

test("TypeScript: it has the right types, and does what it says", async () => {
  const path = write("embedding.ts", block("ts", "startClient"));
  const config = {
    extends: join(ROOT, "tsconfig.json"),
    include: [path],
    compilerOptions: { typeRoots: [join(ROOT, "node_modules/@types")] },
  };
  writeFileSync(directory.path("tsconfig.json"), JSON.stringify(config));
  await run(join(ROOT, "node_modules/.bin/tsc"), "-p", directory.path());
  expect((await run(process.execPath, path)).replaceAll(/\d+/g, "N")).toBe("loaded N\nprogram/didLoad, change N\n");
  await bpfman.expectNothingLeft();
});

test("JavaScript in Node.js", async () => {
  const out = await run(realNode(), write("embedding.mjs", block("js", "startClient")));
  expect(out).toMatch(/^bpfman \d+\.\d+\.\d+ on Linux \d.*\n$/);
});

test.each([["parent.py"], ["parent.ts"]])("the parent process %s", async (name) => {
  const out = await run("sh", "-c", block("sh", name));
  expect(out.replaceAll(/\d+(\.\d+)*(-\S+)?/g, "N")).toBe(
    [
      "bpfman N on Linux N",
      "event N: program/didLoad of program N",
      "event N: link/didAttach of program N",
      "program N runs through link N; press Enter to remove it",
      "event N: link/didDetach of program N",
      "event N: program/didUnload of program N",
      "",
    ].join("\n"),
  );
  await bpfman.expectNothingLeft();
});
