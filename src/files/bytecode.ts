import * as fs from "../../ffi/safe/file-system.ts";
import { OBJECT_BYTES_MAX } from "../domain/limits.ts";
import { errnoName, failing } from "../errors/sys-failure.ts";
import type { FilesPort } from "../platform/files.ts";
import { openRegular } from "./regular.ts";

/** Suffix of a file that is being written. */
const UNFINISHED = ".new";
const DIGEST = /^[0-9a-f]{64}$/;

/**
 * The part of the port that stores loaded object files, each once, as `<state-dir>/bytecode/sha256/<digest>`. Nothing waits
 * for the disk: what a power failure damages is found by its digest.
 */
export function bytecodeStore(
  stateDir: string,
): Pick<
  FilesPort,
  "bytecodePath" | "digest" | "saveBytecode" | "removeBytecode" | "bytecodeExists" | "storedBytecode"
> {
  const store = `${stateDir}/bytecode/sha256`;
  return {
    bytecodePath: (digest) => `${store}/${digest}`,
    digest: (bytes) => new Bun.CryptoHasher("sha256").update(bytes).digest("hex"),

    saveBytecode: (path, bytes) =>
      failing("save", path, () => {
        if (holds(path, bytes)) return;
        fs.mkdirSync(parentOf(path), { recursive: true, mode: 0o700 });
        try {
          write(`${path}${UNFINISHED}`, bytes);
          // Renaming is atomic, so under its final name the file is complete or absent.
          fs.renameSync(`${path}${UNFINISHED}`, path);
        } catch (thrown) {
          discard(() => fs.unlinkSync(`${path}${UNFINISHED}`));
          throw thrown;
        }
      }),

    removeBytecode: (path) =>
      failing("remove", path, () => {
        for (const each of [path, `${path}${UNFINISHED}`]) {
          const stat = fs.lstatSync(each);
          if (stat === undefined) continue;
          if (!stat.isDirectory()) fs.unlinkSync(each);
          else (require("node:fs") as typeof import("node:fs")).rmSync(each, { recursive: true, force: true });
        }
        // Earlier versions had a directory for each program in the runtime directory.
        if (path.startsWith(`${store}/`)) return;
        const directory = parentOf(path);
        for (const each of [directory, parentOf(directory)]) discard(() => fs.rmdirSync(each));
      }),

    bytecodeExists: (path) => fs.existsSync(path),

    storedBytecode: () =>
      failing("list", store, () => (fs.existsSync(store) ? fs.readdirSync(store) : []).filter(isDigest)),
  };
}

const parentOf = (path: string): string => path.slice(0, path.lastIndexOf("/"));
const isDigest = (name: string): boolean => DIGEST.test(name);

/** Reports whether the file holds exactly these bytes. */
function holds(path: string, bytes: Uint8Array): boolean {
  const size = fs.lstatSync(path)?.size;
  if (size !== bytes.length || size > OBJECT_BYTES_MAX) return false;
  const file = openRegular(path, null);
  if (file === null) return false;
  try {
    return Buffer.compare(fs.readAtSync(file.fd, 0, size), bytes) === 0;
  } finally {
    fs.closeSync(file.fd);
  }
}

/** Overwrites what a killed process left behind. */
function write(path: string, bytes: Uint8Array): void {
  const { O_WRONLY, O_CREAT, O_TRUNC, O_NOFOLLOW } = fs.constants;
  const fd = fs.openSync(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0o600);
  try {
    for (let rest = bytes; rest.length > 0; ) rest = rest.subarray(fs.writeSync(fd, rest));
  } finally {
    fs.closeSync(fd);
  }
}

/** Undoes part of a failed step. Errors are ignored, because the original failure is reported. */
function discard(undo: () => void): void {
  try {
    undo();
  } catch (thrown) {
    if (errnoName(thrown) === null) throw thrown;
    // The next command that changes something removes what could not be removed now.
  }
}
