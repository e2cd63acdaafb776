/** For mistakes of all kinds, the hint after the error says what to do next. */
import { expect, test } from "bun:test";
import { realpathSync } from "node:fs";
import { resolve } from "node:path";
import { buildBpf } from "../../scripts/build-bpf.ts";
import { executable, idOf } from "../labs/executable.ts";
import { cable } from "../labs/kernel-lab.ts";

buildBpf();
const OBJECT = resolve(import.meta.dir, "../../dist/bpf/fixtures/life.bpf.o");
const LOAD = ["load", "file", "--path", OBJECT, "--programs"];
const bpfman = executable();

async function said(exitCode: number, ...words: string[]): Promise<string> {
  const { code, out, error } = await bpfman.run(...words);
  expect({ words, code, out }).toEqual({ words, code: exitCode, out: "" });
  return error;
}

const wire = cable();

/** Each must end in this hint; before the usage, where that is shown. */
async function expectHint(exitCode: number, hint: string, ...words: string[]): Promise<void> {
  expect((await said(exitCode, ...words)).split("\n")[1]).toBe(`hint: ${hint}`);
}

test("is said of each name that an attach cannot find", async () => {
  const programs = await bpfman.load(OBJECT, "--programs", "uprobe:on_call", "tracepoint:on_openat", "tcx:count");
  const [call, openat, count] = ["on_call", "on_openat", "count"].map((name) => String(idOf(programs, name)));
  const tracepoint = (name: string) => ["attach", openat as string, "tracepoint", "-t", name];
  await expectHint(2, 'did you mean "sched/sched_switch"?', ...tracepoint("sched_switch"));
  await expectHint(2, 'did you mean "sched/sched_switch"?', ...tracepoint("sched:sched_switch"));
  await expectHint(3, 'did you mean "sched/sched_switch"?', ...tracepoint("sched/sched_swich"));
  const { code, error } = await bpfman.run("link", "attach", "tracepoint", openat as string, "sched_switch");
  expect([code, error.split("\n")[1]]).toEqual([1, 'hint: did you mean "sched/sched_switch"?']);
  const uprobe = (...words: string[]) => ["attach", call as string, "uprobe", ...words];
  await expectHint(3, 'did you mean "malloc"?', ...uprobe("-t", "libc", "-f", "maloc"));
  expect(await said(3, ...uprobe("-t", "lbic", "-f", "malloc"))).toContain('\nhint: did you mean "libc"');
  await expectHint(
    1,
    "a uprobe goes into an executable or a shared library",
    ...uprobe("-t", "/etc/passwd", "-f", "x"),
  );
  expect(await said(1, ...uprobe("-t", "/etc/passwd", "-f", "x"))).toStartWith('error: check "/etc/passwd": ');
  expect(await said(1, ...uprobe("-t", "libc", "-f", "malloc", "-o", "9999999"))).toMatch(
    /\nhint: give an offset below \d+, /,
  );
  expect(await said(3, ...uprobe("-t", "/no/such", "-f", "x"))).toContain("\nhint: check the path");
  await expectHint(1, "give a regular file that this user may read", ...uprobe("-t", "/etc", "-f", "x"));
  const tcx = ["attach", count as string, "tcx", "-d", "ingress", "-p", "1", "-i", wire.interface, "-n"];
  await expectHint(3, `did you mean "${wire.netns}"?`, ...tcx, `${wire.netns}x`);
  await expectHint(3, "give a file such as /run/netns/NAME or /proc/PID/ns/net", ...tcx, "/nothing-like-it");
  expect(await bpfman.links()).toEqual([]);
});

test("is said of processes that may not be looked into", async () => {
  const programs = await bpfman.load(OBJECT, "--programs", "uprobe:on_call");
  const call = String(idOf(programs, "on_call"));
  const process = Bun.spawn(["sleep", "60"]);
  try {
    for (const target of ["libc", realpathSync("/proc/self/exe")]) {
      const words = ["attach", call, "uprobe", "-t", target, "-f", "malloc", "-c", String(process.pid)];
      const without = ["setpriv", "--bounding-set", "-sys_ptrace", "--inh-caps", "-sys_ptrace"];
      const { exitCode, stderr } = Bun.spawnSync([...without, ...bpfman.command(...words)], { stderr: "pipe" });
      expect([exitCode, stderr.toString()]).toEqual([
        1,
        expect.stringContaining("\nhint: reaching into another process takes CAP_SYS_PTRACE\n"),
      ]);
    }
  } finally {
    process.kill();
    await process.exited;
  }
});

test("is said of values that are empty, of several in one word, and of shells that are not there", async () => {
  const empty = "is a shell variable empty?";
  await expectHint(2, empty, "list", "programs", "--state-dir", "");
  await expectHint(2, empty, "attach", "1", "tcx", "-d", "ingress", "-p", "1", "-i", "");
  await expectHint(2, empty, ...LOAD, "tcx:count", "-a", "");
  expect(await said(2, ...LOAD, `tcx:${"x".repeat(10_000)}`)).toStartWith(
    'error: invalid value for "--programs": must have at most 512 characters, not 10000\n',
  );
  await expectHint(2, "separate several numbers with spaces", "unload", "1,2");
  await expectHint(2, 'did you mean "zsh"? to write to a directory of that name, type ./zhs', "completions", "zhs");
  await expectHint(2, "to write to a directory of that name, type ./tcsh", "completions", "tcsh");
});

test("says what an object holds, to whoever may read it", async () => {
  const holds = `hint: "${OBJECT}" holds tc:count, tcx:count, `;
  expect(await said(2, "load", "file", "--path", OBJECT)).toContain(holds);
  expect(await said(1, "program", "load", OBJECT)).toContain(holds);
  await expectHint(2, 'read "/no/such.o": the file does not exist', "load", "file", "--path", "/no/such.o");
});

test("is said of files and directories", async () => {
  await expectHint(
    1,
    "give a regular file that this user may read",
    "load",
    "file",
    "-p",
    "/tmp",
    "--programs",
    "tcx:x",
  );
  await expectHint(1, "move it away, or give another --config", "list", "programs", "--config", "/tmp");
  const error = await said(1, "man", `${OBJECT}/man`);
  expect(error).toStartWith(
    `error: write "${OBJECT}/man/bpfman.1": there is a file where a directory should be\nhint: `,
  );
  expect(await said(5, "list", "programs", "--state-dir", OBJECT)).toBe(
    `error: use the state directory "${OBJECT}": it is not a directory\n` +
      "hint: move it away, or give another --state-dir\n",
  );
});
