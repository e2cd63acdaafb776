import * as fs from "node:fs";
import { errnoName, ioFailure } from "../errors/sys-failure.ts";

/** Returns why nothing is written to a path, and what to give instead; null if there is nothing or a regular file. */
function obstacle(path: string): { readonly reason: string; readonly hint: string } | null {
  const there = fs.lstatSync(path, { throwIfNoEntry: false });
  if (there === undefined || there.isFile()) return null;
  if (there.isDirectory()) return { reason: "it is a directory", hint: "give the path of a file, such as one in it" };
  if (!there.isSymbolicLink())
    return { reason: "it is not a regular file", hint: "give the path of a regular file, or of a new one" };
  // Renaming would replace it, as /dev/stdout, and following it could write anywhere.
  return { reason: "it is a symbolic link", hint: "give the path of the file itself" };
}

/**
 * Writes a new file beside the wanted one and renames it, so that others see nothing or all of it. Only a regular file is
 * replaced: what others made of its name stays. Throws IO_FAILED.
 */
export function saveText(path: string, text: string | Uint8Array): void {
  const partial = `${path}.${process.pid}.partial`;
  let isBegun = false;
  let hint: string | undefined;
  try {
    const found = obstacle(path);
    hint = found?.hint;
    if (found !== null) throw found.reason;
    const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = fs.constants;
    const fd = fs.openSync(partial, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o644);
    isBegun = true;
    try {
      fs.writeFileSync(fd, text);
      fs.fsyncSync(fd);
    } finally {
      fs.closeSync(fd);
    }
    fs.renameSync(partial, path);
  } catch (thrown) {
    if (isBegun) fs.rmSync(partial, { force: true });
    if (errnoName(thrown) === "ENOENT") hint = "its directory does not exist: create it, or give another path";
    throw ioFailure(thrown, { action: "write", path, code: "IO_FAILED", ...(hint === undefined ? {} : { hint }) });
  }
}

/** Makes a directory; one that is there must be empty. Throws IO_FAILED. */
export function makeEmptyDirectory(path: string): void {
  let hint: string | undefined;
  try {
    try {
      fs.mkdirSync(path, { mode: 0o755 });
    } catch (thrown) {
      if (errnoName(thrown) !== "EEXIST") throw thrown;
      hint = "give the path of a new directory, or of an empty one";
      if (!fs.lstatSync(path).isDirectory()) throw "it is there, and is not a directory";
      if (fs.readdirSync(path).length > 0) throw "it is not empty";
    }
  } catch (thrown) {
    if (errnoName(thrown) === "ENOENT") hint = "the directory above it does not exist: create it, or give another path";
    throw ioFailure(thrown, { action: "make", path, code: "IO_FAILED", ...(hint === undefined ? {} : { hint }) });
  }
}
