/** uprobes and uretprobes with the executable, on a C program that makes exactly the requested number of calls. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { buildBpf } from "../../scripts/build-bpf.ts";
import type { LinkAnswer } from "../../src/domain/answer.ts";
import { executable, idOf, mapOf } from "../labs/executable.ts";
import { counters, inKernel, sh } from "../labs/kernel-lab.ts";

buildBpf();
const OBJECT = resolve(import.meta.dir, "../../dist/bpf/fixtures/life.bpf.o");
/** Slots of the map counters_of_life. */
const CALLS = 3;
const RETURNS = 4;

let directory = "";
let binary = "";
beforeAll(() => {
  directory = realpathSync(mkdtempSync(join(tmpdir(), "bpfman-uprobe-")));
  binary = join(directory, "target");
  sh("gcc", "-O1", "-o", binary, resolve(import.meta.dir, "../fixtures/uprobe_library.c"));
});
afterAll(() => rmSync(directory, { recursive: true }));

const bpfman = executable();

/** A running target; `call` makes it call the function so many times and waits for that. */
function startTarget(path = binary) {
  const child = Bun.spawn([path], { stdin: "pipe", stdout: "pipe" });
  const answers = child.stdout.getReader();
  return {
    pid: child.pid,
    async call(times: number) {
      child.stdin.write("x".repeat(times));
      await child.stdin.flush();
      for (let seen = 0; seen < times; ) seen += (await answers.read()).value?.length ?? 0;
    },
    async stop() {
      child.stdin.end();
      await child.exited;
    },
  };
}

/** Addresses of probed_function's instructions, from its start, as objdump sees them. */
function instructions(): { readonly fileOffset: number; readonly offsets: readonly number[] } {
  const listing = sh("objdump", "-d", "-F", "--disassemble=probed_function", "--no-show-raw-insn", binary);
  const head = /<probed_function> \(File Offset: (0x[0-9a-f]+)\):/.exec(listing);
  const addresses = [...listing.matchAll(/^\s+([0-9a-f]+):\t/gm)].map(([, hex = ""]) => Number.parseInt(hex, 16));
  const [first = 0] = addresses;
  return { fileOffset: Number(head?.[1]), offsets: addresses.map((address) => address - first) };
}

async function loaded() {
  const programs = await bpfman.load(OBJECT, "--programs", "uprobe:on_call", "uretprobe:on_return");
  const map = mapOf(programs, "counters");
  return {
    call: idOf(programs, "on_call"),
    ret: idOf(programs, "on_return"),
    counted: () => [counters(map)[CALLS], counters(map)[RETURNS]],
  };
}

const attach = (program: number, ...words: string[]): Promise<LinkAnswer> =>
  bpfman.attach(program, "uprobe", "--target", ...words);

test("function of a binary: every process counts, calls and returns, until detached", async () => {
  const { call, ret, counted } = await loaded();
  const links = [
    await attach(call, binary, "-f", "probed_function"),
    await attach(ret, binary, "-f", "probed_function"),
  ];
  expect(links.map(({ record }) => record.kind)).toEqual(["uprobe", "uretprobe"]);
  expect(links[1]?.record.details).toEqual({
    target: binary,
    fn_name: "probed_function",
    offset: 0,
    pid: null,
    retprobe: true,
    container_pid: null,
  });
  const targets = [startTarget(), startTarget()];
  for (const target of targets) await target.call(7);
  expect(counted()).toEqual([14, 14]);
  await bpfman.ok("detach", String(links[0]?.record.id));
  for (const target of targets) await target.call(2);
  expect(counted()).toEqual([14, 18]);
  await bpfman.ok("unload", String(ret), String(call));
  for (const { record } of links) expect(inKernel("link", record.kernel_link_id ?? 0)).toBe(false);
  for (const target of targets) await target.stop();
  await bpfman.expectNothingLeft();
});

test("--pid: the process named and no other", async () => {
  const { call, ret, counted } = await loaded();
  const [mine, other] = [startTarget(), startTarget()];
  const link = await attach(call, binary, "-f", "probed_function", "--pid", String(mine.pid));
  await attach(ret, binary, "-f", "probed_function", "-p", String(mine.pid));
  expect(link.record.details).toMatchObject({ pid: mine.pid, retprobe: false });
  await other.call(5);
  expect(counted()).toEqual([0, 0]);
  await mine.call(3);
  await other.call(5);
  expect(counted()).toEqual([3, 3]);
  await mine.stop();
  await other.stop();
});

test("library name: found by the linker's cache, or in what the process has mapped", async () => {
  const { call, ret, counted } = await loaded();
  const [mine, other] = [startTarget(), startTarget()];
  // a64l: nobody but the target calls it.
  const everybody = await attach(call, "libc", "-f", "a64l");
  expect(everybody.record.details).toMatchObject({ target: "libc", fn_name: "a64l", pid: null });
  await mine.call(1);
  await other.call(2);
  expect(counted()).toEqual([3, 0]);
  // Beside a probe of everybody's, Linux 6.12 lets a uretprobe of one process run for all.
  await bpfman.ok("detach", String(everybody.record.id));
  await attach(ret, "libc.so.6", "-f", "a64l", "-p", String(mine.pid));
  await mine.call(4);
  await other.call(5);
  expect(counted()).toEqual([3, 4]);
  await mine.stop();
  await other.stop();
});

test("offset: into a function, or into the file when none is named", async () => {
  const { call, ret, counted } = await loaded();
  const { fileOffset, offsets } = instructions();
  expect(fileOffset).toBeGreaterThan(0);
  expect(offsets.length).toBeGreaterThan(2);
  const target = startTarget();
  const second = await attach(call, binary, "-f", "probed_function", "--offset", String(offsets[1]));
  expect(second.record.details).toMatchObject({ offset: offsets[1], fn_name: "probed_function" });
  await target.call(6);
  expect(counted()).toEqual([6, 0]);
  await bpfman.ok("detach", String(second.record.id));
  const inFile = await attach(call, binary, "--offset", String(fileOffset));
  expect(inFile.record.details).toMatchObject({ offset: fileOffset, fn_name: null });
  await attach(ret, binary, "-o", `0x${fileOffset.toString(16)}`);
  await target.call(2);
  expect(counted()).toEqual([8, 2]);
  expect(await bpfman.ok("list", "links")).toContain(`${binary} +0x${fileOffset.toString(16)} `);
  await target.stop();
});

/** A program made of these files, by that compiler. */
function built(name: string, compiler: readonly string[], sources: Readonly<Record<string, string>>): string {
  const files = Object.entries(sources).map(([file, text]) => {
    writeFileSync(join(directory, file), text);
    return join(directory, file);
  });
  sh(...compiler, "-o", join(directory, name), ...files);
  return join(directory, name);
}

test("a name that a binary has twice is refused with its places, and each can be chosen", async () => {
  const helper = (caller: string, times: number) => `static __attribute__((noinline)) int helper(int x)
    { asm volatile("" :: "r"(x)); return x + 1; }
    int ${caller}(void) { int sum = 0; for (int i = 0; i < ${times}; i++) sum += helper(i); return sum; }`;
  const main = "int first(void); int second(void); int main() { return first() + second() > 1000; }";
  const twice = built("twice", ["gcc", "-O1"], {
    "one.c": helper("first", 1),
    "two.c": helper("second", 4),
    "main.c": main,
  });
  const { call, counted } = await loaded();
  const words = ["attach", String(call), "uprobe", "--target", twice] as const;
  const refusal = await bpfman.refused(1, "ATTACH_FAILED", ...words, "--fn-name", "helper");
  expect(refusal.message).toContain('has 2 functions named "helper"');
  const offsets = [...(refusal.hint ?? "").matchAll(/--offset (0x[0-9a-f]+) \((one|two)\.c\)/g)];
  expect(offsets.map(([, , file]) => file).sort()).toEqual(["one", "two"]);
  expect(await bpfman.links()).toEqual([]);
  let sum = 0;
  for (const [, offset = "", file] of offsets) {
    const link = await attach(call, twice, "--offset", offset);
    sh(twice);
    sum += file === "one" ? 1 : 4;
    expect(counted()[0]).toBe(sum);
    await bpfman.ok("detach", String(link.record.id));
  }
});

test("an indirect function is refused: its resolver is not what programs call", async () => {
  const chosen = built("chosen", ["gcc", "-O1"], {
    "ifunc.c": `static int work_fast(int x) { return x; }
      static int (*resolve(void))(int) { return work_fast; }
      int work(int) __attribute__((ifunc("resolve")));
      int main() { return work(0) + work(0); }`,
  });
  const { call, counted } = await loaded();
  const words = ["attach", String(call), "uprobe", "--target", chosen] as const;
  const refusal = await bpfman.refused(1, "ATTACH_FAILED", ...words, "-f", "work");
  expect(refusal.message).toContain("indirect function (IFUNC)");
  expect(refusal.hint).toContain("work_fast");
  await attach(call, chosen, "-f", "work_fast");
  sh(chosen);
  expect(counted()[0]).toBe(2);
});

test("an indirect function of libc is refused with the place of the implementation that this machine uses", async () => {
  const caller = built("caller", ["gcc", "-O1", "-fno-builtin"], {
    "caller.c": `#include <string.h>
      #include <unistd.h>
      int main() { char c[2] = {}; while (read(0, c, 1) == 1) if (strlen(c) == 1) write(1, c, 1); return 0; }`,
  });
  const { call, counted } = await loaded();
  for (const name of ["memcpy", "strlen"]) {
    const words = ["attach", String(call), "uprobe", "--target", "libc", "-f", name] as const;
    const refusal = await bpfman.refused(1, "ATTACH_FAILED", ...words);
    expect(refusal.message).toContain("indirect function (IFUNC)");
    expect(refusal.hint).toMatch(/this machine uses: --offset 0x[0-9a-f]+ instead of --fn-name$/);
    if (name !== "strlen") continue;
    const [, offset = ""] = /--offset (\w+)/.exec(refusal.hint ?? "") ?? [];
    const target = startTarget(caller);
    try {
      await attach(call, "libc", "--offset", offset, "--pid", String(target.pid));
      await target.call(3);
      expect(counted()[0]).toBe(3);
    } finally {
      await target.stop();
    }
  }
});

test("C++ functions by the names in their source", async () => {
  const cpp = built("cpp", ["clang++", "-O1"], {
    "main.cc": `namespace app { struct Server { int n; int handle(int x); void stop(int); void stop(long); }; }
      __attribute__((noinline)) int app::Server::handle(int x) { asm volatile(""); return n + x; }
      __attribute__((noinline)) void app::Server::stop(int) { asm volatile("" :: "r"(1)); }
      __attribute__((noinline)) void app::Server::stop(long) { asm volatile("" :: "r"(2)); }
      int main() { app::Server s{0}; s.stop(1); s.stop(1l); return s.handle(0) + s.handle(0) + s.handle(0); }`,
  });
  const { call, counted } = await loaded();
  const link = await attach(call, cpp, "-f", "app::Server::handle");
  sh(cpp);
  expect(counted()[0]).toBe(3);
  await bpfman.ok("detach", String(link.record.id));
  const words = ["attach", String(call), "uprobe", "--target", cpp, "-f"] as const;
  const several = await bpfman.refused(1, "ATTACH_FAILED", ...words, "app::Server::stop");
  expect(several.hint).toContain("_ZN3app6Server4stopEi");
  expect(several.hint).toContain("_ZN3app6Server4stopEl");
  const near = await bpfman.refused(3, "SYMBOL_NOT_FOUND", ...words, "app::Server::handel");
  expect(near.hint).toContain('"app::Server::handle"');
  const typed = await bpfman.refused(3, "SYMBOL_NOT_FOUND", ...words, "app::Other::go(int)");
  expect(typed.hint).toContain("without its parameters");
});

test.skipIf(Bun.which("go") === null)(
  "functions of a stripped Go program (skipped where there is no Go)",
  async () => {
    writeFileSync(join(directory, "go.mod"), "module example\n\ngo 1.18\n");
    writeFileSync(
      join(directory, "main.go"),
      `package main
    type server struct{ n int }
    //go:noinline
    func (s *server) handle(x int) int { s.n += x; return s.n }
    func main() { s := &server{}; for i := 0; i < 6; i++ { s.handle(i) } }`,
    );
    for (const mode of ["exe", "pie"]) {
      const made = Bun.spawnSync(["go", "build", `-buildmode=${mode}`, "-o", `go-${mode}`, "main.go"], {
        cwd: directory,
      });
      expect(made.stderr.toString()).toBe("");
      const stripped = join(directory, `stripped-${mode}`);
      sh("strip", "-o", stripped, join(directory, `go-${mode}`));
      const { call, counted } = await loaded();
      await attach(call, stripped, "-f", "main.(*server).handle");
      sh(stripped);
      expect(counted()[0]).toBe(6);
      const words = ["attach", String(call), "uprobe", "--target", stripped, "-f"] as const;
      const near = await bpfman.refused(3, "SYMBOL_NOT_FOUND", ...words, "main.mian");
      expect(near.hint).toContain('"main.main"');
    }
  },
  120_000,
);

test("what cannot be probed says why, and leaves no link", async () => {
  const { call } = await loaded();
  const refused = (exitCode: number, code: Parameters<typeof bpfman.refused>[1], ...words: string[]) =>
    bpfman.refused(exitCode, code, "attach", String(call), "uprobe", "--target", ...words);
  const unknown = await refused(3, "SYMBOL_NOT_FOUND", binary, "-f", "probed_functoin");
  expect(unknown.message).toContain('no function "probed_functoin"');
  expect(unknown.hint).toContain('"probed_function"');
  expect((await refused(3, "TARGET_NOT_FOUND", "libnone", "-f", "malloc")).message).toContain('"libnone"');
  expect((await refused(3, "TARGET_NOT_FOUND", "/no/such/file", "-f", "main")).message).toContain("/no/such/file");
  await refused(1, "INVALID_ATTACH", "./target", "-f", "main");
  await refused(1, "FILE_UNREADABLE", "/dev/zero", "-f", "main");
  expect((await refused(1, "INVALID_ATTACH", binary, "-f", "probed_function", "--offset", "4096")).message).toContain(
    "past the end",
  );
  await refused(1, "INVALID_ATTACH", binary, "--offset", "1000000000");
  const target = startTarget();
  await target.stop();
  await refused(3, "PROCESS_NOT_FOUND", binary, "-f", "probed_function", "--pid", String(target.pid));
  expect(await bpfman.links()).toEqual([]);
});
