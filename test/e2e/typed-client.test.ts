/**
 * The noun-verb grammar's JSON, decoded by a client with types that refuses unknown keys, as clients of newer bpfman do.
 * Its types are our own: those of newer bpfman are in no module that the public proxy has.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { buildBpf } from "../../scripts/build-bpf.ts";
import type { LoadAnswer } from "../../src/domain/answer.ts";
import { executable } from "../labs/executable.ts";
import { KERNEL_FUNCTION, TRACEPOINT, USER_FUNCTION, workload } from "../labs/workload.ts";

buildBpf();
const OBJECT = resolve(import.meta.dir, "../../dist/bpf/fixtures/kinds.bpf.o");
const SOURCE = resolve(import.meta.dir, "../fixtures/typed-client/main.go");
/** The first build compiles a part of Go's own library. */
const BUILD_LIMIT_MS = 300_000;
const noGo = Bun.which("go") === null ? "go is not installed" : null;
const typedTest =
  noGo === null ? test : (name: string, run: () => Promise<void>) => test.skip(`${name} (${noGo})`, run);

const bpfman = executable();
const work = workload();
let directory = "";

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "bpfman-typed-"));
  if (noGo !== null) return;
  const built = Bun.spawnSync(["go", "build", "-o", join(directory, "client"), SOURCE], {
    cwd: directory,
    stderr: "pipe",
  });
  expect([built.exitCode, built.stderr.toString()]).toEqual([0, ""]);
}, BUILD_LIMIT_MS);
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Fails unless the client takes what the command prints; answers that. */
async function decoded<T>(kind: string, ...words: readonly string[]): Promise<T> {
  const out = await bpfman.ok(...words, "-o", "json");
  const client = Bun.spawnSync([join(directory, "client"), kind], { stdin: Buffer.from(out), stderr: "pipe" });
  expect([words.join(" "), client.exitCode, client.stderr.toString()]).toEqual([words.join(" "), 0, ""]);
  return JSON.parse(out);
}

typedTest("a typed client decodes every answer of the noun-verb grammar", async () => {
  const selectors = "tracepoint:count_tracepoint,uprobe:count_uprobe,kprobe:count_kprobe";
  const { programs } = await decoded<LoadAnswer>("load", "program", "load", "file", OBJECT, "--programs", selectors);
  const [tracepoint = "", uprobe = "", kprobe = ""] = programs.map((each) => String(each.record?.program_id));
  await decoded("link", "link", "attach", "tracepoint", tracepoint, TRACEPOINT);
  await decoded("link", "link", "attach", "uprobe", uprobe, work.binary, "--fn-name", USER_FUNCTION);
  const probed = await bpfman.run("link", "attach", "kprobe", kprobe, KERNEL_FUNCTION, "-o", "json");
  for (const id of [tracepoint, uprobe, kprobe]) await decoded("program", "program", "get", id);
  await decoded("programs", "program", "list");
  await decoded("programs", "program", "list", "--all");
  const { links } = await decoded<{ links: readonly { id: number }[] }>("links", "link", "list");
  expect(links).toHaveLength(probed.code === 0 ? 3 : 2);
  for (const { id } of links) await decoded("link", "link", "get", String(id));
});

typedTest("and would refuse what the classic grammar says besides", async () => {
  const [program] = await bpfman.load(OBJECT, "--programs", "tracepoint:count_tracepoint");
  const stdin = Buffer.from(JSON.stringify(program));
  const client = Bun.spawnSync([join(directory, "client"), "program"], { stdin, stderr: "pipe" });
  expect(client.stderr.toString()).toContain('unknown field "absolute_source_path"');
});
