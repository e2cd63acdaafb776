/** `bpfman lsp` as editors use it, on the real kernel: by a client over pipes, by the library's client in Node.js, by Neovim. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer, type Server } from "node:net";
import { join, resolve } from "node:path";
import { CancellationTokenSource } from "vscode-jsonrpc/node";
import type { CodeLens, DocumentSymbol } from "vscode-languageserver";
import { BPFMAN, executable } from "../labs/executable.ts";
import { cable, until } from "../labs/kernel-lab.ts";
import { LanguageClient, type LanguageClientOptions, uriOf } from "../labs/language-client.ts";
import { realNode } from "../labs/node.ts";

const ROOT = resolve(import.meta.dir, "../..");
const NOBODY = 65534;
const SAVES = Number(process.env.BPFMAN_LSP_SAVES ?? 100);

/** Makes objects so large that it is seen when they stay. */
const FILLING_BYTES = 128 * 1024;

const HEAD = "#include <linux/bpf.h>\n#include <bpf/bpf_helpers.h>\n";
const NUMBERS = `struct {
\t__uint(type, BPF_MAP_TYPE_HASH);
\t__uint(max_entries, 4);
\t__type(key, __u32);
\t__type(value, __u64);
} numbers SEC(".maps");
`;
/** A program that the verifier refuses in its third line, unless `fixed`. */
const counting = (fixed: boolean, statement = "*value += 1;"): string => `${HEAD}${NUMBERS}
SEC("tcx/ingress") int count(struct __sk_buff *skb)
{
\t__u32 key = 0; /* ü𝄞 */ __u64 *value = bpf_map_lookup_elem(&numbers, &key);
\t/* ü𝄞 */ ${fixed ? "if (value) " : ""}${statement}
\treturn 0;
}
char _license[] SEC("license") = "GPL";
`;
const LINE = counting(false)
  .split("\n")
  .findIndex((line) => line.includes("*value += 1"));

const bpfman = executable();
const clients: LanguageClient[] = [];
/** Processes that stand for those of editors. */
const editors: Bun.Subprocess[] = [];

beforeEach(() => {
  clients.length = 0;
});
afterEach(async () => {
  for (const client of clients) client.kill("SIGKILL");
  for (const editor of editors.splice(0)) editor.kill("SIGKILL");
  await Promise.all(clients.map((client) => client.ended));
});

async function start(
  options: LanguageClientOptions = {},
  command: readonly string[] = bpfman.command("lsp", "--stdio"),
): Promise<LanguageClient> {
  const client = await LanguageClient.start(command, options);
  clients.push(client);
  return client;
}

function source(name: string, text: string): string {
  const path = bpfman.path(name);
  mkdirSync(resolve(path, ".."), { recursive: true });
  writeFileSync(path, text);
  return path;
}

const lensesOf = (client: LanguageClient, path: string): Promise<CodeLens[]> =>
  client.rpc.sendRequest("textDocument/codeLens", { textDocument: { uri: uriOf(path) } });
const titlesOf = async (client: LanguageClient, path: string): Promise<string[]> =>
  (await lensesOf(client, path)).map(({ command }) => command?.title ?? "");
const symbolsOf = (client: LanguageClient, path: string): Promise<DocumentSymbol[]> =>
  client.rpc.sendRequest("textDocument/documentSymbol", { textDocument: { uri: uriOf(path) } });

/** The command line of each child of a process. */
function childrenOf(pid: number): { readonly pid: number; readonly command: string }[] {
  const lines = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
  return lines === ""
    ? []
    : lines.split(" ").map((child) => ({
        pid: Number(child),
        command: readFileSync(`/proc/${child}/cmdline`, "utf8").replaceAll("\0", " ").trim(),
      }));
}

const isGone = (pid: number): boolean =>
  !existsSync(`/proc/${pid}`) || /^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));

describe("a program that the verifier refuses", () => {
  test("is reported at its statement, with what led there, until it is fixed and saved", async () => {
    const client = await start();
    const path = source("count.bpf.c", counting(false));
    const [refused, ...others] = await client.open(path);
    expect(others).toEqual([]);
    expect(refused).toMatchObject({ severity: 1, source: "bpfman", code: "VERIFIER_REJECTED" });
    expect(refused?.message).toContain(`the verifier refuses "count": R0 invalid mem access 'map_value_or_null'`);
    expect(refused?.message).toContain("compare the pointer with NULL");
    // The compiler blames the operator. A tab and each of the characters counts as UTF-16 has it: 1, 1 and 2.
    const operator = "\t/* ü𝄞 */ *value ".length;
    expect(refused?.range).toEqual({
      start: { line: LINE, character: operator },
      end: { line: LINE, character: operator + "+= 1;".length },
    });
    const lookup = "\t__u32 key = 0; /* ü𝄞 */ __u64 *value = ".length;
    expect(refused?.relatedInformation?.at(-1)?.location).toEqual({
      uri: uriOf(path),
      range: {
        start: { line: LINE - 1, character: lookup },
        end: { line: LINE - 1, character: lookup + "bpf_map_lookup_elem(&numbers, &key);".length },
      },
    });
    expect(await titlesOf(client, path)).toEqual(["Load", "Attach…", "Detach", "refused"]);
    expect(await client.hover(path, "count(")).toContain("Refused by Linux");
    // What is not saved is not compiled.
    await client.edit(path, counting(true));
    expect(await client.hover(path, "count(")).toContain("Refused by Linux");
    expect(await client.save(path, counting(true))).toEqual([]);
    expect(await client.stop()).toBe(0);
    await bpfman.expectNothingLeft();
  });

  test("in a file that is included: there, and at the program", async () => {
    const client = await start();
    const text = (fixed: boolean) =>
      `static __always_inline int look(__u64 *value) {\n\treturn ${fixed ? "value ? *value : 0" : "*value"};\n}\n`;
    const header = source("look.h", text(false));
    const main = `${HEAD}${NUMBERS}#include "look.h"\nSEC("tcx/ingress") int count(void *skb) {\n\t__u32 key = 0;\n\treturn look(bpf_map_lookup_elem(&numbers, &key));\n}\n`;
    const path = source("count.bpf.c", main);
    const [atProgram] = await client.open(path);
    const line = main.split("\n").findIndex((each) => each.includes("int count"));
    expect(atProgram).toMatchObject({ range: { start: { line, character: 'SEC("tcx/ingress") int '.length } } });
    expect(atProgram?.message).toContain("(in look.h, line 2)");
    expect(atProgram?.relatedInformation?.[0]?.location).toMatchObject({
      uri: uriOf(header),
      range: { start: { line: 1 } },
    });
    expect(client.diagnosticsOf(header)).toMatchObject([{ range: { start: { line: 1 }, end: { line: 1 } } }]);
    const related = client.diagnosticsOf(header)[0]?.relatedInformation ?? [];
    expect(related.map(({ location }) => location.uri)).toContain(uriOf(path));
    // The header is saved, and with it the source is fixed.
    await client.show(header);
    expect(
      await client.next(path, async () => {
        await client.edit(header, text(true));
        writeFileSync(header, text(true));
        await client.write(header);
      }),
    ).toEqual([]);
    expect(client.diagnosticsOf(header)).toEqual([]);
  });

  test("nowhere any more when its file is closed", async () => {
    const client = await start();
    const path = source("count.bpf.c", counting(false));
    expect(await client.open(path)).toHaveLength(1);
    expect(await client.close(path)).toEqual([]);
  });
});

describe("what is known of a program", () => {
  test("is in its hover and over it: cost, and what changed with the last save", async () => {
    const client = await start();
    const path = source("count.bpf.c", counting(true));
    expect(await client.open(path)).toEqual([]);
    const hover = (await client.hover(path, "count(")) ?? "";
    expect(hover).toMatch(/^\*\*`count`\*\*: eBPF program of type `tcx?`, section `tcx\/ingress`/);
    for (const fact of [/- instructions: \d+$/m, /- states: \d+, at most \d+ /, /- stack: \d+ bytes/, /- time: /]) {
      expect(hover).toMatch(fact);
    }
    const [, instructions] = /- instructions: (\d+)/.exec(hover) ?? [];
    expect((await titlesOf(client, path)).at(-1)).toBe(`${instructions} instructions`);
    expect(await client.save(path, counting(true, "*value += bpf_get_prandom_u32();"))).toEqual([]);
    expect(await client.hover(path, "count(")).toMatch(/- instructions: \d+ \(\+\d+ since the last save\)/);
    expect(await client.hover(path, "numbers SEC")).toMatch(/eBPF map of type `hash`[\s\S]*value: `__u64`, 8 bytes/);
    expect(await client.hover(path, "return 0")).toBeNull();
    expect(await symbolsOf(client, path)).toMatchObject([
      { name: "numbers", detail: "BPF_MAP_TYPE_HASH", kind: 23 },
      { name: "count", detail: "tcx/ingress", kind: 12 },
    ]);
  });

  const wire = cable();
  test("while it runs: it is loaded, attached, counted and detached from the editor", async () => {
    const answers = {
      "window/showMessageRequest": ({ actions }: { actions: { title: string }[] }) =>
        actions.find(({ title }) => title === `${wire.interface} ingress`) ?? null,
    };
    const command = ["nsenter", `--net=${wire.netns}`, ...bpfman.command("lsp")];
    const client = await start({ answers }, command);
    const path = source("count.bpf.c", counting(true));
    await client.open(path);
    const [load, attach, detach] = await lensesOf(client, path);
    const press = (lens: CodeLens | undefined) =>
      client.command(lens?.command?.command ?? "", ...(lens?.command?.arguments ?? []));
    expect(await press(load)).toMatch(/^loaded "count" as program \d+$/);
    const [loaded, ...others] = await bpfman.programs();
    expect(others).toEqual([]);
    expect(loaded).toMatchObject({ type: "tcx", record: { load: { source_path: path, program_name: "count" } } });
    expect(await press(attach)).toMatch(/^attached "count" with link \d+$/);
    expect(await bpfman.links()).toMatchObject([{ kind: "tcx", details: { interface: wire.interface } }]);
    wire.ping(3);
    expect(await client.hover(path, "count(")).toContain(`- program ${loaded?.program_id}, with one link: `);
    expect(await client.hover(path, "count(")).toContain("runs a second now");
    expect(await press(detach)).toMatch(/^detached "count": link \d+$/);
    expect(await press(detach)).toBe('"count" is not attached');
    expect(await client.command("bpfman.unload", uriOf(path), "count")).toBe(
      `unloaded "count": program ${loaded?.program_id}`,
    );
    expect(await client.command("bpfman.unload", uriOf(path), "count")).toBe('"count" is not loaded');
    expect(client.messages).toContain(`loaded "count" as program ${loaded?.program_id}`);
    await expect(client.command("bpfman.attach", uriOf(path), "nope")).rejects.toThrow('no program "nope"');
    await expect(client.command("bpfman.nope")).rejects.toThrow('unknown command "bpfman.nope"');
    await expect(client.command("bpfman.load", 5)).rejects.toThrow("the URI of an open source");
  });
});

describe("the compiler", () => {
  const broken = `${HEAD}/* ü𝄞 */ int one = "ü𝄞"[missing]; int one;\nint one;\nfloat one;\nSEC("xdp") int pass(void *ctx) { return 2; }\n`;

  test("is heard, its notes beside what they are about", async () => {
    const client = await start();
    const path = source("broken.bpf.c", broken);
    const found = await client.open(path);
    const [undeclared] = found;
    const character = '/* ü𝄞 */ int one = "ü𝄞"['.length;
    expect(undeclared).toMatchObject({
      ...{ source: "clang", severity: 1, message: "use of undeclared identifier 'missing'" },
      range: { start: { line: 2, character }, end: { line: 2, character: character + "missing".length } },
    });
    const again = found.find(({ message }) => String(message).startsWith("redefinition of 'one'"));
    expect(again?.relatedInformation?.[0]?.message).toContain("previous definition is here");
    expect(await client.hover(path, "pass(")).toContain("Not compiled");
  });

  test("is not heard where another server says the same, by whichever way that is set", async () => {
    const path = source("broken.bpf.c", broken);
    const atStart = await start({ initializationOptions: { compilerErrors: false } });
    expect(await atStart.open(path)).toEqual([]);
    const told = await start();
    expect(await told.open(path)).not.toEqual([]);
    const settings = { bpfman: { compilerErrors: false } };
    const setting = () => told.rpc.sendNotification("workspace/didChangeConfiguration", { settings });
    expect(await told.next(path, setting)).toEqual([]);
    const scopes: unknown[] = [];
    const asked = await start({
      capabilities: { workspace: { configuration: true } },
      answers: {
        "workspace/configuration": ({ items }: { items: { scopeUri: string }[] }) => {
          scopes.push(...items);
          return items.map(({ scopeUri }) => ({ compilerErrors: !scopeUri.includes("/quiet/") }));
        },
      },
    });
    const quiet = source("quiet/broken.bpf.c", broken);
    expect(await asked.open(quiet)).toEqual([]);
    expect(await asked.open(path)).not.toEqual([]);
    expect(scopes).toEqual([quiet, path].map((each) => ({ scopeUri: uriOf(each), section: "bpfman" })));
  });

  test("has the flags of each folder's own database", async () => {
    const client = await start();
    const text = `${HEAD}SEC("xdp") int pass(void *ctx) { return RESULT; }\n`;
    const paths = ["one", "two"].map((folder) => source(`${folder}/pass.bpf.c`, text));
    for (const [index, path] of paths.entries()) {
      const directory = resolve(path, "..");
      const database = [
        { directory, file: "pass.bpf.c", command: `cc -D${index === 0 ? "RESULT=2" : "OTHER=2"} -c x` },
      ];
      writeFileSync(join(directory, "compile_commands.json"), JSON.stringify(database));
    }
    expect(await client.open(paths[0] as string)).toEqual([]);
    expect(await client.open(paths[1] as string)).toMatchObject([{ message: expect.stringContaining("'RESULT'") }]);
    writeFileSync(join(resolve(paths[1] as string, ".."), "compile_commands.json"), "{");
    expect(await client.save(paths[1] as string)).toMatchObject([
      { source: "bpfman", code: "COMPILATION_DATABASE_INVALID", range: { start: { line: 0, character: 0 } } },
    ]);
  });

  test("is not started for what is not trusted, until it is", async () => {
    const client = await start({ initializationOptions: { trusted: false } });
    const path = source("count.bpf.c", counting(false));
    await client.show(path);
    expect((await symbolsOf(client, path)).map(({ name }) => name)).toEqual(["numbers", "count"]);
    expect(await titlesOf(client, path)).toEqual([]);
    await client.write(path);
    for (const command of ["bpfman.load", "bpfman.check"]) {
      await expect(client.command(command, uriOf(path), "count")).rejects.toThrow("the workspace is not trusted");
    }
    expect(client.count(uriOf(path))).toBe(0);
    expect(childrenOf(client.pid)).toEqual([]);
    const trust = (trusted: boolean) => client.rpc.sendNotification("bpfman/didChangeTrust", { trusted });
    expect(await client.next(path, () => trust(true))).toHaveLength(1);
    expect(await client.next(path, () => trust(false))).toEqual([]);
  });

  test("has nothing to read where there is no file, or something else", async () => {
    const client = await start();
    const path = source("count.bpf.c", counting(true));
    await client.open(path);
    rmSync(path);
    const [missing] = await client.save(path);
    expect(missing?.message).toMatch(/^compile ".*count\.bpf\.c": ENOENT: no such file or directory\nsave the source/);
    expect(Bun.spawnSync(["mkfifo", path]).exitCode).toBe(0);
    expect(await client.save(path)).toMatchObject([{ message: expect.stringContaining("it is not a regular file") }]);
  });

  test("is not started for C that has nothing to do with eBPF", async () => {
    const client = await start();
    const other = source("main.c", "int main(void) { return missing; }\n");
    const path = source("pass.c", `${HEAD}SEC("xdp") int pass(void *ctx) { return 2; }\n`);
    await client.show(other);
    expect(await client.open(path)).toEqual([]);
    expect(client.count(uriOf(other))).toBe(0);
  });
});

describe("a slow verification", () => {
  const SLOW = readFileSync(join(ROOT, "test/fixtures/bpf/slow.bpf.c"), "utf8");
  const FAST = `${HEAD}SEC("xdp") int pass(void *ctx) { return 2; }\n`;

  test("is cancelled by the next save, and other files do not wait for its end", async () => {
    const client = await start();
    const path = source("slow.bpf.c", SLOW);
    await client.show(path);
    const checking = () => childrenOf(client.pid).flatMap(({ pid }) => childrenOf(pid));
    // The worker of the helper is there, so the verifier is at work.
    await until(() => checking().length > 0);
    expect((await symbolsOf(client, path)).map(({ name }) => name)).toEqual(["bytes"]);
    expect(await client.save(path, FAST)).toEqual([]);
    expect(client.count(uriOf(path))).toBe(1);
    expect(await client.hover(path, "pass(")).toContain("Accepted by Linux");
  });

  test("of a load is cancelled like any request, and nothing stays", async () => {
    const client = await start({ initializationOptions: { check: false } });
    const path = source("slow.bpf.c", SLOW);
    expect(await client.open(path)).toEqual([]);
    expect(await client.hover(path, "bytes SEC")).toContain("eBPF map of type `array`");
    const cancellation = new CancellationTokenSource();
    const loading = client.rpc.sendRequest(
      "workspace/executeCommand",
      { command: "bpfman.load", arguments: [uriOf(path), "slow"] },
      cancellation.token,
    );
    const failed = loading.then(
      () => null,
      ({ code }: { code: number }) => code,
    );
    await until(() => childrenOf(client.pid).some(({ pid }) => childrenOf(pid).length > 0));
    cancellation.cancel();
    expect(await failed).toBe(-32800);
    expect(await bpfman.programs()).toEqual([]);
  });

  test("ends with the server", async () => {
    const client = await start();
    await client.show(source("slow.bpf.c", SLOW));
    const checking = () =>
      childrenOf(client.pid).flatMap(({ pid }) => [pid, ...childrenOf(pid).map((each) => each.pid)]);
    await until(() => checking().length > 1);
    const pids = checking();
    expect(await client.stop()).toBe(0);
    await until(() => pids.every(isGone));
    await bpfman.expectNothingLeft();
  });
});

describe("the end", () => {
  async function checked(options: LanguageClientOptions = {}, command?: readonly string[]) {
    const client = await start(options, command);
    await client.open(source("count.bpf.c", counting(true)));
    const [helper, ...others] = childrenOf(client.pid);
    expect(others).toEqual([]);
    expect(helper?.command).toMatch(/ rpc$/);
    return { client, helper: helper?.pid ?? 0 };
  }

  test("comes with the end of the input, and the helper goes too", async () => {
    const { client, helper } = await checked();
    client.hangUp();
    expect(await client.ended).toEqual({ code: 1, error: "" });
    expect(isGone(helper)).toBe(true);
  });

  test("comes with the editor's process, by --clientProcessId or processId", async () => {
    for (const way of ["argument", "param"] as const) {
      const editor = Bun.spawn(["sleep", "1000"], { stdio: ["ignore", "ignore", "ignore"] });
      editors.push(editor);
      const processId = way === "param" ? editor.pid : null;
      const words = way === "argument" ? [`--clientProcessId=${editor.pid}`] : [];
      const { client, helper } = await checked({ params: { processId } }, bpfman.command("lsp", ...words));
      editor.kill("SIGKILL");
      expect(await client.ended).toEqual({ code: 1, error: "" });
      expect(isGone(helper)).toBe(true);
    }
  });

  test("of a server that is killed is that of its helper", async () => {
    const { client, helper } = await checked();
    client.kill("SIGKILL");
    await until(() => isGone(helper));
  });

  test("does not wait for a helper that waits for a password, nor do saves", async () => {
    const pids = bpfman.path("pids");
    const waiting = ["sh", "-c", `echo $$ >>${pids}; exec cat >/dev/null`];
    const client = await start({ initializationOptions: { command: waiting } });
    const path = source("count.bpf.c", counting(true));
    await client.show(path);
    await until(() => existsSync(pids));
    expect(await client.save(path, counting(true, "nonsense;"))).toMatchObject([{ source: "clang" }]);
    const tried = () => readFileSync(pids, "utf8").trim().split("\n").map(Number);
    const [first = 0, ...others] = tried();
    expect(others).toEqual([]);
    // Nor does another try: the one that waits goes, and what it was asked is asked again.
    expect(await client.command("bpfman.restart")).toBe("everything is checked again");
    await until(() => isGone(first) && tried().length === 2);
    expect(await client.stop()).toBe(0);
    await until(() => tried().every(isGone));
  });

  test("of a helper that is killed is not that of the server", async () => {
    const { client, helper } = await checked();
    process.kill(helper, "SIGKILL");
    await until(() => isGone(helper));
    const path = bpfman.path("count.bpf.c");
    await client.save(path);
    expect(await client.save(path, counting(false))).toHaveLength(1);
  });
});

test("what is no client is told so, and gets no session", async () => {
  for (const typed of ["", '{"jsonrpc":"2.0"}\n\n', "Content-Length: 5\r\n\r\nxxxxx"]) {
    const child = Bun.spawn(bpfman.command("lsp"), { stdio: [Buffer.from(typed), "pipe", "pipe"] });
    expect([await child.exited, await child.stdout.text()]).toEqual([1, ""]);
    expect(await child.stderr.text()).toContain("the input ended before initialize: editors start bpfman lsp");
  }
  const gone = Bun.spawn(bpfman.command("lsp", `--clientProcessId=${2 ** 31 - 1}`), {
    stdio: ["pipe", "pipe", "pipe"],
  });
  expect([await gone.exited, await gone.stderr.text()]).toEqual([2, expect.stringContaining("no such process here")]);
});

test("what clients send besides, and empty lists for empty tables", async () => {
  const params = {
    ...{ rootUri: null, workDoneToken: 1, locale: "en", capabilities: [], initializationOptions: [] },
    workspaceFolders: null,
  };
  const client = await start({ params }, bpfman.command("lsp", "--stdio", `--clientProcessId=${process.pid}`));
  await client.rpc.sendNotification("initialized", []);
  await client.rpc.sendNotification("workspace/didChangeConfiguration", { settings: [] });
  await client.rpc.sendNotification("workspace/didChangeConfiguration", { settings: { bpfman: { check: "no" } } });
  await client.rpc.sendNotification("$/nothing", []);
  await expect(client.rpc.sendRequest("nothing/atAll", {})).rejects.toMatchObject({ code: -32601 });
  expect(await client.open(source("count.bpf.c", counting(false)))).toHaveLength(1);
  await client.rpc.sendRequest("shutdown", []);
  await client.rpc.sendNotification("exit", []);
  expect(await client.ended).toEqual({ code: 0, error: "" });
});

describe("as a user without privileges", () => {
  const asNobody = ["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups"] as const;
  let copy = "";
  let server: Server | null = null;

  beforeEach(() => {
    copy = bpfman.path("bpfman");
    cpSync(BPFMAN, copy);
    chmodSync(resolve(copy, ".."), 0o755);
  });
  afterEach(() => void server?.close());

  function owned(name: string, text: string): string {
    const path = source(name, text);
    chownSync(path, NOBODY, NOBODY);
    return path;
  }

  test("sources are compiled, objects read, and one notice says what to set", async () => {
    const client = await start({}, [...asNobody, copy, "lsp"]);
    const path = owned("count.bpf.c", counting(false));
    expect(await client.open(path)).toEqual([]);
    for (let saves = 0; saves < 3; saves++) expect(await client.save(path)).toEqual([]);
    expect(client.messages).toHaveLength(1);
    expect(client.messages[0]).toContain("compiled, but not checked by the kernel");
    expect(client.messages[0]).toContain('"command" in the initialization options');
    expect(await client.hover(path, "count(")).toContain("Not checked by the kernel.");
    expect(await client.hover(path, "numbers SEC")).toContain("value: `__u64`, 8 bytes");
    expect(await client.save(path, counting(true, "nonsense;"))).toMatchObject([{ source: "clang" }]);
    await client.save(path, counting(true));
    await expect(client.command("bpfman.load", uriOf(path), "count")).rejects.toThrow("not checked by the kernel");
    expect(childrenOf(client.pid)).toEqual([]);
  });

  test("a helper that cannot be started, or asks for a password, is not tried at each save", async () => {
    const tried = bpfman.path("tried");
    writeFileSync(tried, "");
    chownSync(tried, NOBODY, NOBODY);
    const script = owned("helper", `#!/bin/sh\necho x >>'${tried}'\necho 'sudo: a password is required' >&2\nexit 1\n`);
    chmodSync(script, 0o755);
    const client = await start({ initializationOptions: { command: [script, "-n"] } }, [...asNobody, copy, "lsp"]);
    const path = owned("count.bpf.c", counting(false));
    await client.open(path);
    await client.save(path);
    expect(client.messages).toHaveLength(1);
    expect(client.messages[0]).toContain("sudo: a password is required");
    expect(readFileSync(tried, "utf8")).toBe("x\n");
    await client.next(path, () => client.command("bpfman.restart"));
    expect(readFileSync(tried, "utf8")).toBe("x\nx\n");
  });

  test("a workspace cannot say what is started", async () => {
    const ran = bpfman.path("ran");
    const command = ["sh", "-c", `echo >${ran}`];
    const evil = { command, bpfman: { command, helper: command } };
    const client = await start(
      {
        capabilities: { workspace: { configuration: true } },
        answers: { "workspace/configuration": ({ items }: { items: unknown[] }) => items.map(() => evil) },
      },
      [...asNobody, copy, "lsp"],
    );
    await client.rpc.sendNotification("workspace/didChangeConfiguration", { settings: evil });
    const path = owned("count.bpf.c", counting(false));
    await client.open(path);
    await client.next(path, () => client.command("bpfman.restart"));
    expect(existsSync(ran)).toBe(false);
  });

  test("a helper with privileges checks, and gets no path to read", async () => {
    // A socket stands for sudo: what connects to it is served by root.
    const socket = bpfman.path("socket");
    server = createServer((connection) => {
      const child = Bun.spawn(bpfman.command("rpc"), { stdio: ["pipe", "pipe", "inherit"] });
      connection.on("data", (bytes) => {
        child.stdin.write(bytes);
        child.stdin.flush();
      });
      connection.on("end", () => void child.stdin.end());
      connection.on("error", () => void child.stdin.end());
      (async () => {
        for await (const bytes of child.stdout) connection.write(bytes);
        connection.end();
      })();
    });
    await new Promise<void>((done) => server?.listen(socket, done));
    chmodSync(socket, 0o666);
    const relay = `const s=require("net").connect(${JSON.stringify(socket)});process.stdin.pipe(s);s.pipe(process.stdout)`;
    const client = await start({ initializationOptions: { command: [realNode(), "-e", relay] } }, [
      ...asNobody,
      copy,
      "lsp",
    ]);
    // Root could read it, its user cannot: it does not compile.
    const secret = source("secret.h", "secret\n");
    chmodSync(secret, 0o600);
    const path = owned("count.bpf.c", counting(false));
    expect(await client.open(path)).toMatchObject([{ code: "VERIFIER_REJECTED" }]);
    const [denied] = await client.save(path, `#include "secret.h"\n${counting(true)}`);
    expect(denied?.message).toContain("secret.h");
    expect(denied?.message).not.toContain("unknown type");
    expect(await client.save(path, counting(true))).toEqual([]);
    expect(client.messages).toEqual([]);
  });
});

describe("a source of 5,000 lines", () => {
  const one = (index: number) =>
    `static __noinline int step_${index}(int value)\n{\n\tif (value > ${index})\n\t\treturn value * ${index};\n\treturn 0;\n}\n`;
  const filler = Array.from({ length: 829 }, (_, index) => one(index)).join("\n");
  const text = `${HEAD}${filler}${counting(false).slice(HEAD.length)}`;
  const lines = text.split("\n");
  const line = lines.findIndex((each) => each.includes("*value += 1"));

  test("is checked, with its lines", async () => {
    expect(lines.length).toBeGreaterThan(5000);
    const client = await start();
    expect(await client.open(source("long.bpf.c", text))).toMatchObject([
      { code: "VERIFIER_REJECTED", range: { start: { line } } },
    ]);
  });

  const name = "shows its refusal within 300 ms after the compiler is done";
  async function measure(): Promise<void> {
    const client = await start();
    const path = source("long.bpf.c", text);
    await client.open(path);
    const compiles = (): boolean => {
      try {
        return childrenOf(client.pid).some(({ command }) => command.includes(" -idirafter "));
      } catch {
        return false; // It ended while it was looked at.
      }
    };
    const afterMs: number[] = [];
    for (let saves = 0; saves < 20; saves++) {
      let told: number | null = null;
      let compiled = 0;
      const saving = client.save(path).then(() => {
        told = performance.now();
      });
      for (; told === null; await Bun.sleep(1)) if (compiles()) compiled = performance.now();
      await saving;
      expect(compiled).toBeGreaterThan(0);
      afterMs.push((told ?? 0) - compiled);
    }
    const [least = 0, median = 0] = [0, 10].map((index) => afterMs.toSorted((a, b) => a - b)[index]);
    console.log(`diagnostics after the compiler: least ${least.toFixed(0)} ms, median ${median.toFixed(0)} ms`);
    expect(least).toBeLessThan(300);
  }
  if (SAVES >= 1000) test(name, measure, 120_000);
  else test.skip(`${name} (skipped: npm run test:long measures it)`, measure);
});

test(
  `${SAVES} saves leave no process, descriptor, file or memory behind`,
  async () => {
    const temporary = bpfman.path("temporary");
    mkdirSync(temporary);
    const client = await start({ initializationOptions: { debounceMs: 0 }, env: { TMPDIR: temporary } });
    const path = source("count.bpf.c", counting(false));
    await client.open(path);
    const helper = childrenOf(client.pid)[0]?.pid ?? 0;
    const residentMb = (pid: number) =>
      Number(/^VmRSS:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;
    const descriptors = (pid: number) => readdirSync(`/proc/${pid}/fd`).length;
    const save = async (times: number): Promise<void> => {
      for (let index = 0; index < times; index++) {
        const text = `${counting(index % 2 === 0)}char filling[${FILLING_BYTES}] = {1};\n`;
        expect(await client.save(path, text)).toHaveLength(index % 2);
      }
    };
    // What is allocated once is there after some of them.
    await save(10);
    const look = () => [client.pid, helper].map(descriptors);
    const before = { seen: look(), memory: residentMb(client.pid) + residentMb(helper) };
    await save(SAVES);
    // The pipes of the last compiler are closed a moment after it has ended.
    await until(() => look().every((now, index) => now <= (before.seen[index] ?? 0)));
    expect(childrenOf(client.pid).map(({ pid }) => pid)).toEqual([helper]);
    // Of a thousand objects that stay, or of as many requests with them, there would be more.
    const grownMb = residentMb(client.pid) + residentMb(helper) - before.memory;
    if (SAVES >= 1000) console.log(`${SAVES} saves: ${grownMb.toFixed(1)} MB more`);
    expect(grownMb).toBeLessThan(64);
    expect(await client.stop()).toBe(0);
    expect(readdirSync(temporary)).toEqual([]);
  },
  SAVES * 2000,
);
