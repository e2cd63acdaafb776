import * as fs from "../../ffi/safe/file-system.ts";
import { COMPLETION_ENTRIES_MAX } from "../domain/limits.ts";
import { BpfmanError } from "../errors/error.ts";
import { errnoName } from "../errors/sys-failure.ts";
import type { BinaryFile, FilesPort } from "../platform/files.ts";
import { absolute } from "./absolute.ts";
import { bytecodeStore } from "./bytecode.ts";
import { openRegular, unreadable } from "./regular.ts";

/** Largest /etc/ld.so.cache read; a full desktop's is 0.2 MiB. */
const LINKER_CACHE_BYTES_MAX = 16 * 1024 * 1024;

/** Access to regular files. bpfman's own copies are stored below `stateDir`. */
export function openFiles(stateDir: string): FilesPort {
  return {
    ...bytecodeStore(stateDir),
    readObject: (path, bytesMax) => readObject(path, bytesMax),
    absolute,
    isDirectory,
    saveDirectory: (path, files) => saving().saveDirectory(path, files),
    saveText: (path, text) => saving().saveText(path, text),
    listDirectory,
    openBinary,
    fileId,
    processExists: (pid) => processDirectory("/proc", pid) !== null,
    processes,
    containerProcess,
    mappedFiles: (process) => mapped().mappedFiles(process),
    functionHere: (name, id) => mapped().functionHere(name, (path) => fileId(path) === id),
    linkerCache,
  };
}

const saving = () => require("./save-text.ts") as typeof import("./save-text.ts");

/** Only uprobes need these. */
const mapped = () => require("./mapped.ts") as typeof import("./mapped.ts");
const cache = () => require("../object/linker-cache.ts") as typeof import("../object/linker-cache.ts");

/** Where a container without the host's PID namespace has the host's procfs mounted. */
const HOST_PROC = "/host/proc";
/** PROC_SUPER_MAGIC (include/uapi/linux/magic.h). */
const PROC_MAGIC = 0x9fa0;

function processDirectory(proc: string, pid: number): string | null {
  if (!Number.isSafeInteger(pid) || pid <= 0) return null;
  const directory = `${proc}/${pid}`;
  return fs.existsSync(directory) ? directory : null;
}

function containerProcess(pid: number): string | null {
  const ofHost = isProc(HOST_PROC) ? processDirectory(HOST_PROC, pid) : null;
  return ofHost ?? processDirectory("/proc", pid);
}

/** An ordinary directory at that path could describe processes that do not exist. */
function isProc(path: string): boolean {
  try {
    return fs.statfsSync(path).type === PROC_MAGIC;
  } catch {
    return false;
  }
}

function processes(): { readonly pid: number; readonly name: string }[] {
  const pids = fs.readdirSync("/proc").filter((name) => /^[0-9]+$/.test(name));
  return pids.slice(0, COMPLETION_ENTRIES_MAX).flatMap((pid) => {
    try {
      return [{ pid: Number(pid), name: fs.readTextSync(`/proc/${pid}/comm`).trimEnd() }];
    } catch {
      // The process has exited in the meantime.
      return [];
    }
  });
}

function whatIsMissing(path: string, kind: "file" | "directory"): BpfmanError {
  // Loaded only if a file is missing.
  const { missing } = require("./missing.ts") as typeof import("./missing.ts");
  return missing(path, kind);
}

function readObject(path: string, bytesMax: number, root: string | null = null): Uint8Array {
  const file = openRegular(path, root);
  if (file === null) throw whatIsMissing(path, "file");
  try {
    if (file.size > bytesMax) {
      throw unreadable(path, `it has ${file.size} bytes; at most ${bytesMax} are read`, {
        details: { size: file.size },
        hint: "that is far more than is expected here: is it another file?",
      });
    }
    // Read one byte more than expected, to detect a file that grows or that misreports its size, as those in /proc do.
    const bytes = fs.readAtSync(file.fd, 0, file.size + 1);
    if (bytes.length !== file.size)
      throw unreadable(path, "its size changed while it was read", { hint: "try again once it is complete" });
    return bytes;
  } catch (thrown) {
    throw thrown instanceof BpfmanError ? thrown : unreadable(path, thrown);
  } finally {
    fs.closeSync(file.fd);
  }
}

function isDirectory(path: string): boolean {
  try {
    return fs.statSync(path)?.isDirectory() === true;
  } catch {
    // Whoever reads it says why it cannot be read.
    return false;
  }
}

function listDirectory(path: string): string[] {
  try {
    // readdir also returns the file types, so a directory can be listed without access to its entries.
    const { readdirSync } = require("node:fs") as typeof import("node:fs");
    const entries = readdirSync(path, { withFileTypes: true });
    return entries.filter((entry) => !entry.isDirectory()).map((entry) => entry.name);
  } catch (thrown) {
    if (errnoName(thrown) === "ENOENT") throw whatIsMissing(path, "directory");
    throw unreadable(path, errnoName(thrown) === "ENOTDIR" ? "it is not a directory" : thrown);
  }
}

function openBinary(path: string, root: string | null): BinaryFile | null {
  const file = openRegular(path, root);
  if (file === null) return null;
  const { fd, size } = file;
  const full = `${root ?? ""}${path}`;
  const there = idOf(fs.fstatSync(fd)) === fileId(full);
  return {
    size,
    // The plain path where it leads to the open file, since the kernel shows it to people; else one through the descriptor.
    kernelPath: there ? full : `/proc/self/fd/${fd}`,
    id: there ? fileId(full) : null,
    read(offset, length) {
      try {
        // Clamp to the file's size, so that an invalid length read from the file cannot exhaust memory.
        return fs.readAtSync(fd, offset, Math.max(0, Math.min(length, size - offset)));
      } catch (thrown) {
        throw unreadable(path, thrown);
      }
    },
    close: () => fs.closeSync(fd),
  };
}

const idOf = ({ dev, ino }: { readonly dev: number | bigint; readonly ino: number | bigint }): string =>
  `${dev}:${ino}`;

function fileId(path: string): string | null {
  try {
    const found = fs.statSync(path);
    return found ? idOf(found) : null;
  } catch {
    // A part of the path is no directory, or not to be entered.
    return null;
  }
}

function linkerCache(root: string | null): ReadonlyMap<string, string> {
  try {
    return cache().parseLinkerCache(readObject("/etc/ld.so.cache", LINKER_CACHE_BYTES_MAX, root));
  } catch (thrown) {
    // A system without a cache has no libraries to offer, but an unreadable cache is an error.
    if (thrown instanceof BpfmanError && thrown.code === "FILE_NOT_FOUND") return new Map();
    throw thrown;
  }
}
