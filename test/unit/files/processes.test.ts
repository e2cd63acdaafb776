import { expect, test } from "bun:test";
import { openProcesses } from "../../../src/files/open-processes.ts";

const processes = openProcesses();

test("a process is itself for as long as it runs", async () => {
  const child = Bun.spawn(["sleep", "1000"]);
  const identity = processes.identity(child.pid) ?? "";
  expect(identity).toMatch(new RegExp(`^${child.pid}:\\d+:\\d+$`));
  expect(processes.identity(child.pid)).toBe(identity);
  expect(processes.hasEnded(identity)).toBe(false);
  child.kill("SIGKILL");
  await child.exited;
  expect(processes.hasEnded(identity)).toBe(true);
  expect(processes.identity(child.pid)).toBeNull();
});

test("one that waits to be reaped has ended", async () => {
  // The shell's child ends when the shell, which would ask for it, has become a sleep, which never does.
  const shell = Bun.spawn(["sh", "-c", "sleep 0.5 & echo $!; exec sleep 1000"], { stdout: "pipe" });
  try {
    const { value } = await shell.stdout.getReader().read();
    const pid = Number(new TextDecoder().decode(value));
    for (let tries = 0; tries < 500 && processes.identity(pid) !== null; tries++) await Bun.sleep(10);
    expect(await Bun.file(`/proc/${pid}/stat`).text()).toContain(") Z ");
    expect(processes.identity(pid)).toBeNull();
  } finally {
    shell.kill("SIGKILL");
    await shell.exited;
  }
});

test("a later process with the same pid is a different one", () => {
  const [pid, start, namespace] = (processes.identity(process.pid) ?? "").split(":");
  expect(processes.hasEnded(`${pid}:${Number(start) + 1}:${namespace}`)).toBe(true);
});

test("a process in another PID namespace cannot be judged", () => {
  expect(processes.hasEnded("4194304:1:1")).toBe(false);
});
