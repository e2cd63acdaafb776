import * as fs from "node:fs";
import { ioFailure } from "../errors/sys-failure.ts";

/**
 * Writes a new file beside the wanted one and renames it, so that others see nothing or all of it. What is at the path is
 * replaced, a symbolic link as well, unless it is neither. Throws IO_FAILED.
 */
export function saveText(path: string, text: string): void {
  const partial = `${path}.${process.pid}.partial`;
  try {
    const there = fs.lstatSync(path, { throwIfNoEntry: false });
    if (there?.isDirectory()) throw "it is a directory";
    if (there !== undefined && !there.isFile() && !there.isSymbolicLink()) throw "it is not a regular file";
    const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = fs.constants;
    const fd = fs.openSync(partial, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o644);
    try {
      fs.writeFileSync(fd, text);
      fs.fsyncSync(fd);
    } finally {
      fs.closeSync(fd);
    }
    fs.renameSync(partial, path);
  } catch (thrown) {
    fs.rmSync(partial, { force: true });
    throw ioFailure(thrown, { action: "write", path, code: "IO_FAILED" });
  }
}
