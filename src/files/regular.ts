import * as fs from "../../ffi/safe/file-system.ts";
import { openInRoot } from "../../ffi/safe/open-in-root.ts";
import { BpfmanError, type ErrorParts } from "../errors/error.ts";
import { errnoName, reasonOf, sysPart } from "../errors/sys-failure.ts";

export interface RegularFile {
  readonly fd: number;
  /** Bytes. */
  readonly size: number;
}

/**
 * Opens a regular file for reading, below `root` if given; returns null if it does not exist. O_NONBLOCK, because
 * opening a FIFO would wait for a writer; O_NOCTTY, so that a terminal does not become the controlling one. Throws
 * FILE_UNREADABLE.
 */
export function openRegular(path: string, root: string | null = null): RegularFile | null {
  let fd: number;
  const flags = fs.constants.O_RDONLY | fs.constants.O_NONBLOCK | fs.constants.O_NOCTTY;
  try {
    fd = root === null ? fs.openSync(path, flags) : openInRoot(root, path, flags);
  } catch (thrown) {
    const name = errnoName(thrown);
    if (name === "ENOENT" || name === "ENOTDIR") return null;
    const ofProcess = name === "EACCES" && /^(\/host)?\/proc\//.test(root ?? path);
    throw unreadable(path, thrown, ofProcess ? { hint: "reaching into another process takes CAP_SYS_PTRACE" } : {});
  }
  const stat = fs.fstatSync(fd);
  if (stat.isFile()) return { fd, size: stat.size };
  fs.closeSync(fd);
  throw unreadable(path, stat.isDirectory() ? "it is a directory" : "it is not a regular file");
}

/** `reason` is a sentence or a caught error. */
export function unreadable(path: string, reason: unknown, { details = {}, ...parts }: ErrorParts = {}): BpfmanError {
  return new BpfmanError("FILE_UNREADABLE", `read "${path}": ${reasonOf(reason)}`, {
    details: { path, ...details },
    ...parts,
    ...sysPart(reason),
    ...(reason instanceof Error ? { cause: reason } : {}),
  });
}
