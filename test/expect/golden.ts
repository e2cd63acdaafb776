import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect } from "bun:test";

const DIRECTORY = join(import.meta.dir, "..", "golden");

/** Compares with test/golden/NAME. With UPDATE_GOLDEN=1 it writes the file instead: read the difference before you commit. */
export function expectGolden(name: string, text: string): void {
  const path = join(DIRECTORY, name);
  if (process.env.UPDATE_GOLDEN === "1") {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    return;
  }
  if (!existsSync(path)) throw new Error(`test/golden/${name} is missing; make it with UPDATE_GOLDEN=1 bun test`);
  expect(text).toBe(readFileSync(path, "utf8"));
}
