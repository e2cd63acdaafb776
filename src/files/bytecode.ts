import * as fs from "../../ffi/safe/file-system.ts";
import { type ProgramId, programId } from "../domain/ids.ts";
import { ID_MAX } from "../domain/limits.ts";
import { errnoName, failing } from "../errors/sys-failure.ts";
import type { FilesPort } from "../platform/files.ts";

const FILE = "bytecode.o";
/** Suffix of a file that is being written. */
const UNFINISHED = ".new";

/** The part of the port that stores loaded object files, as `<runtime-dir>/programs/<program id>/bytecode.o`. */
export function bytecodeStore(
  runtimeDir: string,
): Pick<
  FilesPort,
  | "bytecodePath"
  | "digest"
  | "saveBytecode"
  | "removeBytecode"
  | "removeLeftover"
  | "bytecodeExists"
  | "bytecodeIds"
  | "removeBytecodeDirectory"
> {
  const programs = `${runtimeDir}/programs`;
  const directoryOf = (id: ProgramId): string => `${programs}/${id}`;
  const bytecodePath = (id: ProgramId): string => `${directoryOf(id)}/${FILE}`;

  return {
    bytecodePath,
    digest: (bytes) => new Bun.CryptoHasher("sha256").update(bytes).digest("hex"),

    saveBytecode(id, bytes) {
      const path = bytecodePath(id);
      failing("save", path, () => {
        fs.mkdirSync(directoryOf(id), { recursive: true, mode: 0o700 });
        try {
          write(`${path}${UNFINISHED}`, bytes);
          // Renaming is atomic, so under its final name the file is complete or absent.
          fs.renameSync(`${path}${UNFINISHED}`, path);
        } catch (thrown) {
          discard(() => fs.unlinkSync(`${path}${UNFINISHED}`));
          // The directory stays if it contains anything else.
          discard(() => fs.rmdirSync(directoryOf(id)));
          throw thrown;
        }
      });
    },

    removeBytecode: (id) =>
      failing("remove", directoryOf(id), () => {
        const directory = directoryOf(id);
        const stat = fs.lstatSync(directory);
        if (stat === undefined) return false;
        if (!stat.isDirectory() || !removedAsUsual(directory)) {
          const { rmSync } = require("node:fs") as typeof import("node:fs");
          rmSync(directory, { recursive: true, force: true });
        }
        return true;
      }),

    removeLeftover: (id) =>
      failing("remove", directoryOf(id), () => {
        const directory = directoryOf(id);
        // Symlinks are not followed: their targets do not belong to bpfman.
        if (fs.lstatSync(directory)?.isDirectory() !== true) return false;
        const names = fs.readdirSync(directory);
        const isOurs = (name: string) =>
          (name === FILE || name === `${FILE}${UNFINISHED}`) && fs.lstatSync(`${directory}/${name}`)?.isFile() === true;
        if (!names.every(isOurs)) return false;
        for (const name of names) fs.unlinkSync(`${directory}/${name}`);
        fs.rmdirSync(directory);
        return true;
      }),

    removeBytecodeDirectory: () => discard(() => fs.rmdirSync(programs)),

    bytecodeExists: (id) => fs.existsSync(bytecodePath(id)),

    bytecodeIds: () =>
      failing("list", programs, () => {
        const ids = namesIn(programs).filter((name) => /^[1-9]\d*$/.test(name));
        return ids
          .map(Number)
          .filter((id) => id <= ID_MAX)
          .sort((a, b) => a - b)
          .map(programId);
      }),
  };
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
  } catch {
    // The next command that changes something removes what could not be removed now.
  }
}

/** Removes the directory if it contains only bpfman's file; returns false if it contains anything else. */
function removedAsUsual(directory: string): boolean {
  try {
    fs.unlinkSync(`${directory}/${FILE}`);
    fs.rmdirSync(directory);
    return true;
  } catch (thrown) {
    if (["ENOENT", "EISDIR", "ENOTEMPTY"].includes(errnoName(thrown) ?? "")) return false;
    throw thrown;
  }
}

function namesIn(directory: string): string[] {
  try {
    return fs.readdirSync(directory);
  } catch (thrown) {
    if (errnoName(thrown) === "ENOENT") return [];
    throw thrown;
  }
}
