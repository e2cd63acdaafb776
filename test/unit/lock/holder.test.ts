import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { describeHolder } from "../../../src/lock/holder.ts";
import { temporaryDirectory } from "../../labs/temporary-directory.ts";

const directory = temporaryDirectory();

/** A sleeping process that shows itself with this command line. */
async function withCommand(words: readonly string[], check: (pid: number) => void): Promise<void> {
  const [name = "", ...rest] = words;
  const process = Bun.spawn(["bash", "-c", 'exec -a "$0" sleep 30 "$@"', name, ...rest], { stderr: "ignore" });
  try {
    for (let tries = 0; tries < 200; tries++) {
      const shown = await Bun.file(`/proc/${process.pid}/cmdline`).text();
      if (shown.startsWith(`${name}\0`)) break;
      await Bun.sleep(5);
    }
    check(process.pid);
  } finally {
    process.kill();
    await process.exited;
  }
}

test("the holder's command is shown up to its first option", async () => {
  await withCommand(["/usr/local/bin/bpfman", "1", "--", "2"], (pid) => {
    writeFileSync(directory.path("lock"), `${pid}\n`);
    expect(describeHolder(directory.path("lock"))).toEqual({ pid, command: "bpfman 30 1" });
  });
});

test("control characters in a command do not come out", async () => {
  await withCommand(["evil\u001b[2J\n"], (pid) => {
    writeFileSync(directory.path("lock"), `${pid}\n`);
    expect(describeHolder(directory.path("lock"))).toEqual({ pid, command: "evil?[2J? 30" });
  });
});

test("a long command is cut", async () => {
  await withCommand(["x".repeat(300)], (pid) => {
    writeFileSync(directory.path("lock"), `${pid}\n`);
    expect(describeHolder(directory.path("lock"))?.command).toHaveLength(80);
  });
});

test("no holder is named for an empty file, for nonsense, for a pid that is gone, or without a file", () => {
  for (const content of ["", "nonsense\n", "-1\n", "0\n", "4194305\n", "99999999999999999999\n"]) {
    writeFileSync(directory.path("lock"), content);
    expect(describeHolder(directory.path("lock"))).toBeNull();
  }
  expect(describeHolder(directory.path("missing"))).toBeNull();
});
