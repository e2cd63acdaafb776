import { expect, test } from "bun:test";
import * as fs from "node:fs";
import { join } from "node:path";
import { openLock } from "../../../src/lock/open-lock.ts";
import { failureOf, failureOfAsync } from "../../expect/failure.ts";
import { temporaryDirectory } from "../../labs/temporary-directory.ts";

const directory = temporaryDirectory();
const path = () => directory.path("run/lock");
const never = new AbortController().signal;
const PROGRAM = join(import.meta.dir, "../../labs/lock-process.ts");
const start = (...work: string[]) =>
  Bun.spawn([process.execPath, PROGRAM, path(), ...work], { stdout: "pipe", stderr: "pipe" });

test("only one caller holds the lock, also within a process", async () => {
  const lock = openLock(path());
  const first = await lock.acquire(1_000, never);
  expect((await failureOfAsync(() => lock.acquire(30, never))).code).toBe("LOCK_TIMEOUT");
  first.release();
  first.release();
  const second = await lock.acquire(1_000, never);
  // The second release of the first must not have touched the second.
  expect((await failureOfAsync(() => lock.acquire(30, never))).code).toBe("LOCK_TIMEOUT");
  second.release();
});

test("file 0600, directory 0750, closed to children, and holding the pid only while it is locked", async () => {
  const held = await openLock(path()).acquire(1_000, never);
  expect(fs.statSync(path()).mode & 0o777).toBe(0o600);
  expect(fs.statSync(directory.path("run")).mode & 0o777).toBe(0o750);
  expect(fs.readFileSync(path(), "utf8")).toBe(`${process.pid}\n`);
  const isOurs = (fd: string) => fs.readlinkSync(`/proc/self/fd/${fd}`) === path();
  const fds = fs.readdirSync("/proc/self/fd").filter((fd) => fs.existsSync(`/proc/self/fd/${fd}`) && isOurs(fd));
  expect(fds).toHaveLength(1);
  const flags = /flags:\s*([0-7]+)/.exec(fs.readFileSync(`/proc/self/fdinfo/${fds[0]}`, "utf8"))?.[1] ?? "0";
  const O_CLOEXEC = 0o2000000;
  expect(Number.parseInt(flags, 8) & O_CLOEXEC).toBe(O_CLOEXEC);
  held.release();
  expect(fs.readFileSync(path(), "utf8")).toBe("");
});

test("a release that fails names the file, and frees the lock nevertheless", async () => {
  const held = await openLock(path()).acquire(1_000, never);
  const isOurs = (fd: string) =>
    fs.existsSync(`/proc/self/fd/${fd}`) && fs.readlinkSync(`/proc/self/fd/${fd}`) === path();
  fs.closeSync(Number(fs.readdirSync("/proc/self/fd").find(isOurs)));
  const error = failureOf(() => held.release());
  expect([error.code, error.message]).toEqual(["IO_FAILED", expect.stringContaining(`use lock file "${path()}"`)]);
  held.release();
  (await openLock(path()).acquire(1_000, never)).release();
});

test("a release can remove the file, and the directory if nothing else is in it", async () => {
  const lock = openLock(path());
  (await lock.acquire(1_000, never)).release({ remove: true });
  expect(fs.existsSync(directory.path("run"))).toBe(false);
  const held = await lock.acquire(1_000, never);
  fs.writeFileSync(directory.path("run/other"), "");
  held.release({ remove: true });
  expect(fs.readdirSync(directory.path("run"))).toEqual(["other"]);
});

test("a waiter whose lock file is removed takes the lock on the file that replaces it", async () => {
  const held = await openLock(path()).acquire(1_000, never);
  const waiting = [1, 2, 3].map(() => openLock(path()).acquire(5_000, never));
  await Bun.sleep(30);
  held.release({ remove: true });
  // One after the other: each that has it keeps the others out, and takes file and directory away again.
  let inside = 0;
  await Promise.all(
    waiting.map(async (acquired) => {
      const lock = await acquired;
      expect([++inside, fs.existsSync(path())]).toEqual([1, true]);
      await Bun.sleep(20);
      inside--;
      lock.release({ remove: true });
    }),
  );
  expect(fs.existsSync(directory.path("run"))).toBe(false);
});

test("a time-out names the holder's pid and command, and death frees the lock", async () => {
  const holder = start("hold");
  try {
    await holder.stdout.getReader().read();
    const began = performance.now();
    const error = await failureOfAsync(() => openLock(path()).acquire(120, never));
    expect(performance.now() - began).toBeGreaterThanOrEqual(119);
    expect(error.code).toBe("LOCK_TIMEOUT");
    expect(error.message).toContain(`wait for writer lock "${path()}": pid ${holder.pid} (bun`);
    expect(error.message).toEndWith("still holds it after 120 ms");
    expect(error.details).toMatchObject({ path: path(), timeoutMs: 120, holderPid: holder.pid });
  } finally {
    holder.kill("SIGKILL");
    await holder.exited;
  }
  (await openLock(path()).acquire(1_000, never)).release();
});

test("a waiter gets the lock once it is free, also when it may wait for ever", async () => {
  const held = await openLock(path()).acquire(1_000, never);
  const waiter = openLock(path()).acquire(0, never);
  const events: string[] = [];
  const waited = waiter.then((lock) => {
    events.push("acquired");
    lock.release();
  });
  await Bun.sleep(60);
  events.push("released");
  held.release();
  await waited;
  expect(events).toEqual(["released", "acquired"]);
});

test("an abort ends the waiting at once, and stops one that has not begun", async () => {
  const held = await openLock(path()).acquire(1_000, never);
  const stop = new AbortController();
  const waiting = failureOfAsync(() => openLock(path()).acquire(0, stop.signal));
  await Bun.sleep(40);
  stop.abort();
  expect((await waiting).code).toBe("CANCELLED");
  held.release();
  expect((await failureOfAsync(() => openLock(path()).acquire(0, stop.signal))).code).toBe("CANCELLED");
});

test("ten processes never hold it together", async () => {
  fs.writeFileSync(directory.path("counter"), "0");
  const all = Array.from({ length: 10 }, () => start("add", directory.path("counter"), "10"));
  const ends = await Promise.all(
    all.map(async (one) => ({ exit: await one.exited, said: await new Response(one.stderr).text() })),
  );
  expect(ends).toEqual(Array.from({ length: 10 }, () => ({ exit: 0, said: "" })));
  expect(fs.readFileSync(directory.path("counter"), "utf8")).toBe("100");
});

test("a lock file that was taken away meanwhile does not count", async () => {
  const old = await openLock(path()).acquire(1_000, never);
  fs.rmSync(path());
  const current = await openLock(path()).acquire(1_000, never);
  old.release();
  expect(fs.readFileSync(path(), "utf8")).toBe(`${process.pid}\n`);
  expect((await failureOfAsync(() => openLock(path()).acquire(30, never))).code).toBe("LOCK_TIMEOUT");
  current.release();
});

test("links and other kinds of files are rejected, and what they lead to is left alone", async () => {
  fs.mkdirSync(directory.path("run"));
  fs.writeFileSync(directory.path("precious"), "data");
  fs.symlinkSync(directory.path("precious"), path());
  const symlink = await failureOfAsync(() => openLock(path()).acquire(1_000, never));
  expect([symlink.code, symlink.sys?.name]).toEqual(["IO_FAILED", "ELOOP"]);
  fs.rmSync(path());
  fs.linkSync(directory.path("precious"), path());
  expect((await failureOfAsync(() => openLock(path()).acquire(1_000, never))).code).toBe("STATE_CONFLICT");
  fs.rmSync(path());
  Bun.spawnSync(["mkfifo", path()]);
  expect((await failureOfAsync(() => openLock(path()).acquire(1_000, never))).code).toBe("STATE_CONFLICT");
  expect(fs.readFileSync(directory.path("precious"), "utf8")).toBe("data");
});
