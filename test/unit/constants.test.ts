/** What `scripts/constants.ts` puts in the place of constants means the same. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { NUMBERS, TABLES } from "../../scripts/bundle.ts";
import { constantsOf } from "../../scripts/constants.ts";

const ROOT = resolve(import.meta.dir, "../..");
const directory = mkdtempSync(join(tmpdir(), "bpfman-constants-"));
afterAll(() => rmSync(directory, { recursive: true }));
const constants = await constantsOf(NUMBERS, TABLES);

test.each(TABLES)("the tables of %s", async (path) => {
  const text = constants.read(path).replaceAll(/(?<=from ")\.[^"]*/g, (named) => resolve(dirname(path), named));
  const copy = join(directory, `${path.replaceAll("/", "_")}`);
  writeFileSync(copy, text);
  const [made, original] = [await import(copy), await import(path)];
  expect(Object.keys(made).sort()).toEqual(Object.keys(original).sort());
  for (const [name, value] of Object.entries(original)) {
    if (typeof value !== "object") continue;
    expect(Object.keys(made[name])).toEqual(Object.keys(value as object));
    // Twice: values that are parsed when they are looked at, and afterwards.
    for (let round = 0; round < 2; round++) expect({ ...made[name] }).toEqual({ ...(value as object) });
  }
  expect(text).toContain("JSON.parse");
});

test("numbers are what they were, and no module imports them", async () => {
  const numbers: Readonly<Record<string, number>> = await import(NUMBERS);
  expect(Object.keys(constants.define).length).toBeGreaterThan(100);
  for (const [name, value] of Object.entries(numbers)) expect(Number(constants.define[name])).toBe(value);
  for (const path of new Bun.Glob("{src,rpc,lsp}/**/*.ts").scanSync({ cwd: ROOT, absolute: true })) {
    if (readFileSync(path, "utf8").includes('limits.ts"')) expect(constants.read(path)).not.toContain('limits.ts"');
  }
});
