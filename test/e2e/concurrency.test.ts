/** Many concurrent commands, commands that wait, and commands that are killed halfway. */
import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { buildBpf } from "../../scripts/build-bpf.ts";
import { openKernel } from "../../src/kernel/open-kernel.ts";
import type { LinkAnswer, LoadAnswer } from "../../src/domain/answer.ts";
import { executable, idOf, type Started } from "../labs/executable.ts";
import { bpftool, cable, until } from "../labs/kernel-lab.ts";
import { tcxTest } from "../labs/tcx-test.ts";

buildBpf();
const OBJECT = resolve(import.meta.dir, "../../dist/bpf/fixtures/life.bpf.o");
const LOCK_PROCESS = resolve(import.meta.dir, "../labs/lock-process.ts");
/** Much work, also on the slow processor of the virtual machine. */
const LONG_MS = 300_000;
const LOAD = ["load", "file", "--path", OBJECT, "--programs", "tcx:count", "tracepoint:on_openat"];

const bpfman = executable();
const jsonOf = <T>({ code, out, error }: Awaited<Started["ended"]>): T => {
  expect({ code, error }).toEqual({ code: 0, error: "" });
  return JSON.parse(out);
};

describe("at once", () => {
  test(
    "20 loads: distinct ids, all listed, all in the kernel",
    async () => {
      const started = Array.from({ length: 20 }, () =>
        bpfman.start(...LOAD, "--output", "json", "--lock-timeout", "5m"),
      );
      const loaded = (await Promise.all(started.map(({ ended }) => ended))).map(jsonOf<LoadAnswer>);
      const ids = loaded.flatMap(({ programs }) => programs.map((program) => program.record?.program_id ?? 0));
      expect(new Set(ids).size).toBe(40);
      expect((await bpfman.programs()).map((program) => program.program_id)).toEqual(ids.toSorted((a, b) => a - b));
      const known: { id: number }[] = bpftool("prog");
      expect(known.map(({ id }) => id)).toEqual(expect.arrayContaining(ids));
      // Each pair has maps of its own.
      const maps = loaded.flatMap(({ programs }) => programs[0]?.status.kernel?.map_ids ?? []);
      expect(new Set(maps).size).toBe(40);
      await bpfman.ok("unload", ...ids.map(String));
      await bpfman.expectNothingLeft();
    },
    LONG_MS,
  );

  test("a command leaves its changes in the database's log, which stays short", async () => {
    const log = () => statSync(`${bpfman.runtimeDir}/state/bpfman.db-wal`).size;
    const lengths: number[] = [];
    for (let round = 0; round < 20; round++) {
      const [loaded] = await bpfman.load(OBJECT, "--programs", "tcx:count");
      lengths.push(log());
      await bpfman.ok("unload", String(loaded?.record?.program_id));
      lengths.push(log());
    }
    // A checkpoint at the end of each command would cut it to nothing each time.
    expect(lengths.filter((length) => length > 0).length).toBeGreaterThan(30);
    // A hundred pages of 4 KiB with their headers, and what one command writes on top.
    expect(Math.max(...lengths)).toBeLessThan(600 * 1024);
    expect(await bpfman.programs()).toEqual([]);
  });

  test("the very first load, and readers that come while it makes directories and tables", async () => {
    const started = [bpfman.start(...LOAD, "--output", "json")];
    for (let each = 0; each < 8; each++) started.push(bpfman.start("list", "programs", "--output", "json"));
    const listed = (await Promise.all(started.map(({ ended }) => ended))).map(jsonOf<{ programs: unknown[] }>);
    for (const { programs } of listed) expect([0, 2]).toContain(programs.length);
    expect(listed[0]?.programs).toHaveLength(2);
  });

  describe("on one hook", () => {
    const wire = cable();
    const kernel = openKernel({ testDispatchers: "/nonexistent" });

    tcxTest(
      "10 times attach and detach: kernel, pins and rows agree all along",
      async () => {
        const programs: number[] = [];
        for (let each = 0; each < 10; each++) {
          programs.push(idOf(await bpfman.load(OBJECT, "--programs", "tcx:count"), "count"));
        }
        const hook = ["-i", wire.interface, "-d", "ingress", "-n", wire.netns];
        const attach = (program: number, place: number): Started => {
          const words = ["attach", String(program), "tcx", ...hook, "-p", String((place * 7) % 10)];
          return bpfman.start(...words, "--output", "json");
        };
        const onHook = () =>
          kernel
            .tcxState({ netns: wire.netns, ifindex: wire.ifindex, direction: "ingress" })
            .members.map(({ program, link }) => ({ program: Number(program), link: Number(link) }));
        /** What the database says, in the order of the priorities. */
        const recorded = async () =>
          (await bpfman.links())
            .map(({ program_id, kernel_link_id, details }) => {
              return {
                program: program_id,
                link: kernel_link_id,
                position: "position" in details ? details.position : -1,
              };
            })
            .toSorted((a, b) => a.position - b.position)
            .map(({ program, link }) => ({ program, link }));

        let links = (await Promise.all(programs.map((program, place) => attach(program, place).ended))).map(
          jsonOf<LinkAnswer>,
        );
        expect(new Set(links.map(({ record }) => record.id)).size).toBe(10);
        expect(await recorded()).toEqual(onHook());
        expect(onHook()).toHaveLength(10);
        for (const { record } of links) {
          const shown: { prog_id: number } = bpftool("link", "show", "id", String(record.kernel_link_id));
          expect(shown.prog_id).toBe(record.program_id);
        }
        // Half of them go while those that have gone before come back.
        const [first, second] = [links.slice(0, 5), links.slice(5)];
        await Promise.all(first.map(({ record }) => bpfman.ok("detach", String(record.id))));
        expect(await recorded()).toEqual(onHook());
        const back = first.map(({ record }, place) => attach(record.program_id, place).ended);
        const gone = second.map(({ record }) => bpfman.ok("detach", String(record.id)));
        links = (await Promise.all(back)).map(jsonOf<LinkAnswer>);
        await Promise.all(gone);
        expect(await recorded()).toEqual(onHook());
        expect(
          onHook()
            .map(({ program }) => program)
            .sort(),
        ).toEqual(links.map(({ record }) => record.program_id).sort());
        expect(wire.ping(2)).toBe(2);
        await bpfman.ok("unload", ...programs.map(String));
        expect(onHook()).toEqual([]);
        await bpfman.expectNothingLeft();
      },
      LONG_MS,
    );
  });
});

describe("while another process holds the writer lock", () => {
  /** A process that has the lock, until it is killed. */
  async function holdLock(): Promise<Bun.Subprocess> {
    const command = [process.execPath, LOCK_PROCESS, `${bpfman.runtimeDir}/lock`, "hold"];
    const holder = Bun.spawn(command, { stdio: ["ignore", "pipe", "inherit"] });
    const said = await holder.stdout.getReader().read();
    expect(new TextDecoder().decode(said.value)).toBe("holding\n");
    return holder;
  }

  async function release(holder: Bun.Subprocess): Promise<void> {
    holder.kill("SIGKILL");
    await holder.exited;
  }

  /** Until that command catches SIGHUP, the last of its signals: from then on it cannot but wait for the lock. */
  const isReady = (pid: number): Promise<void> =>
    until(() => {
      const caught = /^SigCgt:\s*([0-9a-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? "0";
      return (BigInt(`0x${caught}`) & 1n) === 1n;
    });

  test("what reads answers at once", async () => {
    const programs = await bpfman.load(OBJECT, "--programs", "tracepoint:on_openat");
    const id = idOf(programs, "on_openat");
    const link = await bpfman.attach(id, "tracepoint", "-t", "syscalls/sys_enter_openat");
    const holder = await holdLock();
    const began = performance.now();
    expect(await bpfman.programs()).toHaveLength(1);
    expect(await bpfman.links()).toHaveLength(1);
    expect(await bpfman.ok("get", "program", String(id))).toContain("on_openat");
    expect(await bpfman.ok("get", "link", String(link.record.id))).toContain("on_openat");
    expect(performance.now() - began).toBeLessThan(20_000);
    expect(holder.exitCode).toBeNull();
    await release(holder);
  });

  test("what reads answers also when nothing has ever been written", async () => {
    const holder = await holdLock();
    expect(await bpfman.programs()).toEqual([]);
    expect(await bpfman.links()).toEqual([]);
    expect(readdirSync(bpfman.runtimeDir)).toEqual(["lock"]);
    await release(holder);
  });

  test("what writes waits as long as it was told, and names the holder", async () => {
    const holder = await holdLock();
    const began = performance.now();
    const failure = await bpfman.refused(5, "LOCK_TIMEOUT", ...LOAD, "--lock-timeout", "200ms");
    expect(performance.now() - began).toBeGreaterThanOrEqual(200);
    expect(failure.message).toContain(`pid ${holder.pid} `);
    expect(failure.message).toContain("200 ms");
    expect(failure.details).toMatchObject({ holderPid: holder.pid, timeoutMs: 200 });
    await release(holder);
    expect(existsSync(`${bpfman.runtimeDir}/fs`)).toBe(false);
  });

  test("a lock held without a word, by flock(1), is not taken either", async () => {
    await bpfman.begin();
    const holder = Bun.spawn(["flock", `${bpfman.runtimeDir}/lock`, "sh", "-c", "echo holding; exec sleep 60"], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await holder.stdout.getReader().read();
    const failure = await bpfman.refused(5, "LOCK_TIMEOUT", ...LOAD, "--lock-timeout", "100ms");
    expect(failure.message).toContain("another process still holds it");
    // flock(1) waits for the command that it ran: both have the lock.
    for (const child of readFileSync(`/proc/${holder.pid}/task/${holder.pid}/children`, "utf8").trim().split(" ")) {
      if (child !== "") process.kill(Number(child), "SIGKILL");
    }
    await release(holder);
    expect(await bpfman.load(OBJECT, "--programs", "tcx:count")).toHaveLength(1);
  });

  test("a waiter goes on when the lock is free", async () => {
    const holder = await holdLock();
    const waiter = bpfman.start(...LOAD, "--output", "json");
    await isReady(waiter.pid);
    await release(holder);
    expect(jsonOf<LoadAnswer>(await waiter.ended).programs).toHaveLength(2);
  });

  test.each(["SIGINT", "SIGTERM"] as const)("%s ends a waiter with 130, and nothing is half done", async (signal) => {
    const holder = await holdLock();
    const waiter = bpfman.start(...LOAD);
    await isReady(waiter.pid);
    waiter.kill(signal);
    const { code, out, error } = await waiter.ended;
    expect({ code, out }).toEqual({ code: 130, out: "" });
    expect(error).toMatch(/^error: wait for writer lock ".*": interrupted\n$/);
    expect(existsSync(`${bpfman.runtimeDir}/fs`)).toBe(false);
    expect(existsSync(`${bpfman.runtimeDir}/state`)).toBe(false);
    await release(holder);
  });
});
