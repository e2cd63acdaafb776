/** A process that takes a lock: `bun lock-process.ts PATH hold` holds it until killed; `… add FILE N` adds 1 N times. */
import { readFileSync, writeFileSync } from "node:fs";
import { openLock } from "../../src/lock/open-lock.ts";

const [path = "", work = "", file = "", count = "0"] = process.argv.slice(2);
const lock = openLock(path);
const never = new AbortController().signal;
if (work === "hold") {
  await lock.acquire(0, never);
  process.stdout.write("holding\n");
  await Bun.sleep(60_000);
}
for (let index = 0; index < Number(count); index++) {
  const held = await lock.acquire(0, never);
  const before = Number(readFileSync(file, "utf8"));
  await Bun.sleep(1);
  writeFileSync(file, String(before + 1));
  held.release();
}
