import * as fs from "node:fs";
import { dirname, join } from "node:path";
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

/** Makes a directory; one that is there must be empty. Returns whether it is new. Throws IO_FAILED. */
function makeEmptyDirectory(path: string): boolean {
  let hint: string | undefined;
  try {
    try {
      fs.mkdirSync(path, { mode: 0o755 });
      return true;
    } catch (thrown) {
      if (errnoName(thrown) !== "EEXIST") throw thrown;
      hint = "give the path of a new directory, or of an empty one";
      if (!fs.lstatSync(path).isDirectory()) throw "it is there, and is not a directory";
      if (fs.readdirSync(path).length > 0) throw "it is not empty";
      return false;
    }
  } catch (thrown) {
    if (errnoName(thrown) === "ENOENT") hint = "the directory above it does not exist: create it, or give another path";
    throw ioFailure(thrown, { action: "make", path, code: "IO_FAILED", ...(hint === undefined ? {} : { hint }) });
  }
}

/** Writes files into a new or empty directory, all or none. Their names may have one directory. Throws IO_FAILED. */
export function saveDirectory(path: string, files: ReadonlyMap<string, string | Uint8Array>): void {
  const directories: string[] = [];
  const written: string[] = [];
  const make = (directory: string): void => {
    if (makeEmptyDirectory(directory)) directories.push(directory);
  };
  try {
    make(path);
    for (const below of new Set([...files.keys()].filter((name) => name.includes("/")).map((name) => dirname(name)))) {
      make(join(path, below));
    }
    for (const [name, contents] of files) {
      saveText(join(path, name), contents);
      written.push(join(path, name));
    }
  } catch (thrown) {
    for (const file of written) fs.rmSync(file, { force: true });
    for (const directory of directories.toReversed()) {
      try {
        fs.rmdirSync(directory);
      } catch {
        // Others have put something there.
      }
    }
    throw thrown;
  }
}
