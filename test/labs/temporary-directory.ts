import { afterEach, beforeEach } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * To be called at the top of a test file: each of its tests gets a directory of its own, which is removed afterwards.
 * `leave` runs before that, to take away what must not be removed file by file, such as mounts.
 */
export function temporaryDirectory(leave: (directory: string) => void = () => {}): { path(name?: string): string } {
  let directory = "";
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "bpfman-test-"));
  });
  afterEach(() => {
    leave(directory);
    rmSync(directory, { recursive: true, force: true });
  });
  return { path: (name = "") => join(directory, name) };
}
