/** The npm packages, from a registry that has only them: installed into an empty prefix, run by npx, and compiled against. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { packageNamed, VERSION } from "../labs/packages.ts";
import { temporaryDirectory } from "../labs/temporary-directory.ts";
import { type NpmRegistry, startNpmRegistry } from "../servers/npm-registry.ts";

const ROOT = resolve(import.meta.dir, "../..");
const directory = temporaryDirectory();
let registry: NpmRegistry;

beforeAll(() => {
  const ends = [`/bpfman-${VERSION}.tgz`, `-linux-x64-${VERSION}.tgz`, `-linux-arm64-${VERSION}.tgz`];
  registry = startNpmRegistry(ends.map((end) => packageNamed(end.replace("/", ""))));
});
afterAll(() => registry.close());

/** Runs it with nothing of npm's but this registry. The registry answers from this process, so it must go on meanwhile. */
async function run(...command: readonly string[]) {
  mkdirSync(directory.path("project"), { recursive: true });
  const child = Bun.spawn([...command], {
    cwd: directory.path("project"),
    env: {
      PATH: process.env.PATH ?? "",
      HOME: directory.path(),
      npm_config_registry: registry.url,
      npm_config_cache: directory.path("cache"),
      npm_config_audit: "false",
      npm_config_update_notifier: "false",
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [out, error, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { out, error, code };
}

test("npm i -g installs the command, and only this processor's executable", async () => {
  const prefix = directory.path("prefix");
  expect(await run("npm", "i", "-g", "--prefix", prefix, "bpfman")).toMatchObject({ code: 0 });
  expect(registry.fetched.toSorted()).toEqual([`@bpfman/linux-${process.arch}`, "bpfman"]);
  expect(readdirSync(join(prefix, "bin"))).toEqual(["bpfman"]);
  const command = join(prefix, "bin/bpfman");
  expect((await run(command, "version")).out).toStartWith(`bpfman ${VERSION} `);
  // Its exit codes and its words are bpfman's.
  expect(await run(command, "lst")).toMatchObject({ code: 2, error: expect.stringContaining('did you mean "list"') });
}, 300_000);

test("the guide's command installs it from the files of a release, where those of other processors are, too", async () => {
  const [, command = ""] = /`(npm i -g [^`]+)`/.exec(readFileSync(join(ROOT, "docs/howto/install.md"), "utf8")) ?? [];
  const prefix = directory.path("from-files");
  const words = `cd "$0" && export npm_config_prefix="$1" && ${command.replaceAll("x64", process.arch)}`;
  const installed = await run("sh", "-c", words, dirname(packageNamed(`bpfman-${VERSION}.tgz`)), prefix);
  expect(installed).toMatchObject({ code: 0 });
  expect((await run(join(prefix, "bin/bpfman"), "version")).out).toStartWith(`bpfman ${VERSION} `);
}, 300_000);

test("npx runs it", async () => {
  const { out, code } = await run("npx", "--yes", "bpfman", "version");
  expect([code, out.split(" ").slice(0, 2)]).toEqual([0, ["bpfman", VERSION]]);
}, 300_000);

test("without the executable's package, it says what to do", async () => {
  expect(await run("npm", "i", "--omit=optional", "bpfman")).toMatchObject({ code: 0 });
  const { code, error } = await run("node_modules/.bin/bpfman", "version");
  expect([code, error]).toEqual([
    1,
    `error: start bpfman: package @bpfman/linux-${process.arch} is missing: install bpfman again, without --omit=optional\n`,
  ]);
}, 300_000);

test("the typed client runs in Node.js, and its types are complete and strict", async () => {
  expect(await run("npm", "i", "bpfman")).toMatchObject({ code: 0 });
  const project = directory.path("project");
  const program = (version: string) => `
    import { startClient } from "bpfman/client";
    const client = await startClient({ command: ["node_modules/.bin/bpfman", "rpc"] });
    const answer = await client.call("version", {});
    const version: ${version} = answer.version;
    console.log(version);
    await client.dispose();
  `;
  writeFileSync(join(project, "package.json"), '{ "type": "module" }');
  writeFileSync(join(project, "good.mts"), program("string"));
  writeFileSync(join(project, "bad.mts"), program("number"));
  const tsc = (file: string) => {
    const options = ["--strict", "--target", "esnext", "--module", "nodenext", "--types", "node"];
    const types = ["--typeRoots", join(ROOT, "node_modules/@types")];
    return run(join(ROOT, "node_modules/.bin/tsc"), ...options, ...types, file);
  };
  expect(await tsc("good.mts")).toEqual({ code: 0, out: "", error: "" });
  expect((await tsc("bad.mts")).out).toContain("error TS2322: Type 'string' is not assignable to type 'number'");
  expect(await run("node", "good.mjs")).toMatchObject({ code: 0, out: `${VERSION}\n` });
}, 300_000);
