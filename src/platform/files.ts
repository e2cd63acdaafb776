import type { ProgramId } from "../domain/ids.ts";

/** Random access to a file that may be large. */
export interface ByteSource {
  /** Bytes in the file. */
  readonly size: number;
  /** Exactly `length` bytes from `offset`, or fewer at the end of the file. */
  read(offset: number, length: number): Uint8Array;
  close(): void;
}

/** An opened executable or library. */
export interface BinaryFile extends ByteSource {
  /** A path under which the kernel finds this very file for as long as it is open. */
  readonly kernelPath: string;
  /** As `fileId` answers for that path later; null when that path ends with this process. */
  readonly id: string | null;
}

export interface MappedFile {
  /** As the process sees it. */
  readonly path: string;
  /** Opens that very file, from any namespace: a link below /proc/PID/map_files. */
  readonly handle: string;
}

/** Ordinary files: the user's object files, bpfman's copies of them, and what /proc says of processes. */
export interface FilesPort {
  /** Reads a regular file of at most `bytesMax`. Throws FILE_NOT_FOUND, FILE_UNREADABLE. */
  readObject(path: string, bytesMax: number): Uint8Array;
  absolute(path: string): string;
  /** Names of the files in a folder, folders not among them. Throws FILE_NOT_FOUND, FILE_UNREADABLE. */
  listFolder(path: string): string[];

  bytecodePath(id: ProgramId): string;
  saveBytecode(id: ProgramId, bytes: Uint8Array): void;
  /** False when there was none. */
  removeBytecode(id: ProgramId): boolean;
  /**
   * Removes what a load left that did not finish: the folder with nothing in it but our files. False when it stays, for
   * something else in it.
   */
  removeLeftover(id: ProgramId): boolean;
  bytecodeExists(id: ProgramId): boolean;
  /** Program ids that have a copy. */
  bytecodeIds(): ProgramId[];

  /**
   * Opens a file to find symbols in; null when it is not there. With a `root`, the path is that of a process whose root
   * folder it is, and nothing in there leads out of it. Throws FILE_UNREADABLE for what is no regular file.
   */
  openBinary(path: string, root: string | null): BinaryFile | null;
  /** Device and inode of the file at a path; null when there is none. */
  fileId(path: string): string | null;
  /** Whether there is such a process in the caller's PID namespace. */
  processExists(pid: number): boolean;
  /** Every process that can be seen, with the name of its command. */
  processes(): { readonly pid: number; readonly name: string }[];
  /**
   * The folder of a process in a container, by its pid on the host: in the host's table of processes where that is
   * mounted at /host/proc, as pods without the host's PID namespace have it, and in /proc otherwise. Null when it is in
   * neither. `root` in there is the process's root folder, whatever its mount namespace.
   */
  containerProcess(pid: number): string | null;
  /** Files mapped into the process of a folder of /proc; empty when they cannot be read. */
  mappedFiles(process: string): MappedFile[];
  /** Libraries of the dynamic linker's cache of this system, or below a root folder: soname -> path. */
  linkerCache(root: string | null): ReadonlyMap<string, string>;
}
