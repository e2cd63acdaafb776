/** The Bun for another processor (scripts/bun-for.ts) is the one that package-lock.json pins, or none. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { bunFor } from "../../scripts/bun-for.ts";
import { temporaryDirectory } from "../labs/temporary-directory.ts";

const OTHER = process.arch === "arm64" ? "x64" : "arm64";
const directory = temporaryDirectory();
const path = process.env.PATH;

/** Puts a script in the place of npm. */
function npmDoes(script: string): void {
  writeFileSync(directory.path("npm"), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
}

beforeEach(() => {
  process.env.PATH = `${directory.path()}:${path}`;
});
afterEach(() => {
  process.env.PATH = path;
});

const fetched = () => bunFor(OTHER, directory.path("modules"));
const left = () => readdirSync(directory.path("modules/.other-processors"));

test("for this processor, it is the one that runs", () => {
  npmDoes("exit 1");
  expect(bunFor(process.arch as "x64" | "arm64", directory.path("modules"))).toBe(process.execPath);
});

test("one with another hash than the lock file's is neither unpacked nor kept", () => {
  npmDoes(`mkdir -p package/bin; touch package/bin/bun '${directory.path("ran")}'; tar -czf bun.tgz package`);
  expect(fetched).toThrow(/has another hash \(sha512-[^)]{88}\) than in package-lock\.json: do not use it$/);
  expect(existsSync(directory.path("ran"))).toBe(true);
  expect(left()).toEqual([]);
});

test("if npm cannot get it, npm's words are shown", () => {
  npmDoes("echo no network >&2; exit 1");
  expect(fetched).toThrow("npm pack failed with status 1: no network");
  expect(left()).toEqual([]);
});
