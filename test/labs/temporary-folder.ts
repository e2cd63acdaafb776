import { afterEach, beforeEach } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * To be called at the top of a test file: each of its tests gets a folder of its own, which is removed afterwards.
 * `leave` runs before that, to take away what must not be removed file by file, such as mounts.
 */
export function temporaryFolder(leave: (folder: string) => void = () => {}): { path(name?: string): string } {
  let folder = "";
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "bpfman-test-"));
  });
  afterEach(() => {
    leave(folder);
    rmSync(folder, { recursive: true, force: true });
  });
  return { path: (name = "") => join(folder, name) };
}
