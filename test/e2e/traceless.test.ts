/** What a command that changes nothing leaves: nothing. And what is left when everything was taken away. */
import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync } from "node:fs";
import { executable } from "../labs/executable.ts";

const bpfman = executable();
const OBJECT = "dist/bpf/fixtures/life.bpf.o";

const mounted = (): boolean => readFileSync("/proc/self/mountinfo", "utf8").includes(` ${bpfman.runtimeDir}/fs `);
const there = (): string[] => (existsSync(bpfman.runtimeDir) ? readdirSync(bpfman.runtimeDir).sort() : ["(gone)"]);

describe("on a machine where bpfman has changed nothing yet", () => {
  const LINES: readonly (readonly [code: number, line: string])[] = [
    [3, "detach 1"],
    [3, "unload 1"],
    [0, "unload --ignore-missing 1"],
    [3, "attach 1 xdp --iface lo --priority 5"],
    [3, "attach 1 tracepoint --tracepoint sched/sched_switch"],
    [1, "program delete 1"],
    [0, "program delete --all"],
    [0, "program delete --all --unmount"],
    [1, "link delete 1"],
    [1, "link update 1 --priority 5"],
    [1, "dispatcher delete xdp 1 2"],
    [3, "load file --path /no/such.o --programs xdp:a"],
    [1, `load file --path ${OBJECT} --programs xdp:no_such_program`],
    [1, "load file --path /etc/passwd --programs xdp:a"],
  ];
  test.each(LINES)("%d: %s leaves nothing", async (code, line) => {
    for (const isThere of [true, false]) {
      if (!isThere) rmdirSync(bpfman.runtimeDir);
      const run = await bpfman.run(...line.split(" "));
      expect([run.code, mounted(), there()]).toEqual([code, false, isThere ? [] : ["(gone)"]]);
    }
    mkdirSync(bpfman.runtimeDir, { mode: 0o750 });
  });

  test("a load makes what it needs, and a change that fails afterwards is in the history", async () => {
    await bpfman.load(OBJECT, "--programs", "tcx:count");
    expect([mounted(), there()]).toEqual([true, ["database", "fs", "lock", "records", "state"]]);
    await bpfman.refused(3, "LINK_NOT_FOUND", "detach", "1");
    const last = bpfman.database((rows) =>
      rows
        .query<{ operation: string; result: string }, []>(
          "SELECT operation, result FROM operations ORDER BY rowid DESC",
        )
        .get(),
    );
    expect(last).toMatchObject({ operation: "link/detach", result: "LINK_NOT_FOUND" });
  });
});

describe("program delete --all --unmount", () => {
  test("leaves the database alone", async () => {
    await bpfman.load(OBJECT, "--programs", "tcx:count", "tracepoint:on_openat");
    expect(await bpfman.ok("program", "delete", "--all", "--unmount")).toBe("");
    expect([mounted(), there()]).toEqual([false, ["state"]]);
    // And everything works again afterwards.
    await bpfman.load(OBJECT, "--programs", "tcx:count");
    expect(await bpfman.json("program", "delete", "--all", "--unmount")).toMatchObject({ unmounted: true });
    expect(await bpfman.json("program", "delete", "--all", "--unmount")).toEqual({
      deleted: [],
      detached: [],
      unmounted: true,
    });
    expect(await bpfman.programs()).toEqual([]);
  });

  test("removes the runtime directory when the database is elsewhere", async () => {
    const state = ["--state-dir", bpfman.path("state")];
    await bpfman.ok("load", "file", "--path", OBJECT, "--programs", "tcx:count", ...state);
    await bpfman.ok("program", "delete", "--all", "--unmount", ...state);
    expect([mounted(), there()]).toEqual([false, ["(gone)"]]);
  });

  test("keeps what somebody else put there, and says so", async () => {
    await bpfman.load(OBJECT, "--programs", "tcx:count");
    const foreign = `${bpfman.runtimeDir}/fs/links/theirs`;
    mkdirSync(foreign);
    const run = await bpfman.run("program", "delete", "--all", "--unmount", "-o", "json");
    expect([run.code, JSON.parse(run.out).unmounted, mounted()]).toEqual([0, false, true]);
    expect(run.error).toContain(`not unmounted, because of what bpfman did not put there: ${foreign}`);
    rmdirSync(foreign);
  });

  test("says what to do when the directory is in use", async () => {
    await bpfman.load(OBJECT, "--programs", "tcx:count");
    const inside = Bun.spawn(["sleep", "60"], { cwd: `${bpfman.runtimeDir}/fs` });
    try {
      const run = await bpfman.run("program", "delete", "--all", "--unmount");
      expect(run.code).toBe(1);
      expect(run.error).toContain(`bpfman: error: unmount "${bpfman.runtimeDir}/fs": `);
      expect(run.error).toContain("hint: a process works in that directory");
    } finally {
      inside.kill();
      await inside.exited;
    }
    await bpfman.ok("program", "delete", "--all", "--unmount");
    expect(mounted()).toBe(false);
  });

  test("goes with --all alone", async () => {
    const { code, error } = await bpfman.run("program", "delete", "5", "--unmount");
    expect([code, error.split("\n")[0]]).toEqual([1, "bpfman: error: --unmount needs --all"]);
  });
});
