/** Random access to a file of any size. */
export interface ByteSource {
  /** Bytes in the file. */
  readonly size: number;
  /** Reads exactly `length` bytes from `offset`, or fewer at the end of the file. */
  read(offset: number, length: number): Uint8Array;
  close(): void;
}

/** An open executable or library. */
export interface BinaryFile extends ByteSource {
  /** A path through which the kernel finds exactly this file while it is open. */
  readonly kernelPath: string;
  /** As `fileId` answers for that path later; null when that path ends with this process. */
  readonly id: string | null;
}

export interface MappedFile {
  /** As seen by the process. */
  readonly path: string;
  /** A link below /proc/PID/map_files, which opens exactly that file from any namespace. */
  readonly handle: string;
}

/** Regular files: the user's object files, bpfman's copies of them, and process information in /proc. */
export interface FilesPort {
  /** Reads a regular file of at most `bytesMax` bytes. Throws FILE_NOT_FOUND, FILE_UNREADABLE. */
  readObject(path: string, bytesMax: number): Uint8Array;
  absolute(path: string): string;
  isDirectory(path: string): boolean;
  /** Writes files, by their names in a directory that is new or empty: all or none. Throws IO_FAILED. */
  saveDirectory(path: string, files: ReadonlyMap<string, string | Uint8Array>): void;
  /** Writes a file, of which others see nothing or all. Throws IO_FAILED. */
  saveText(path: string, text: string | Uint8Array): void;
  /** Returns the names of the files in a directory, without subdirectories. Throws FILE_NOT_FOUND, FILE_UNREADABLE. */
  listDirectory(path: string): string[];

  /** Where the object file with that digest is kept, for programs that are loaded now. Earlier versions kept it elsewhere. */
  bytecodePath(digest: string): string;
  /** SHA-256 in hexadecimal, by which the copy of an object file is known. */
  digest(bytes: Uint8Array): string;
  /** Writes the copy at that path, unless it is there. */
  saveBytecode(path: string, bytes: Uint8Array): void;
  removeBytecode(path: string): void;
  bytecodeExists(path: string): boolean;
  /** Returns the digests of all copies. */
  storedBytecode(): string[];

  /**
   * Opens a file to look up symbols; returns null if it does not exist. If `root` is given, the path is resolved as in
   * a process with that root directory, which it cannot leave. Throws FILE_UNREADABLE if it is not a regular file.
   */
  openBinary(path: string, root: string | null): BinaryFile | null;
  /** Device and inode of the file at a path; null when there is none. */
  fileId(path: string): string | null;
  /** Reports whether a process with that PID exists in the caller's PID namespace. */
  processExists(pid: number): boolean;
  /** Returns all visible processes with their command names. */
  processes(): { readonly pid: number; readonly name: string }[];
  /**
   * Returns the /proc directory of a process in a container, by its PID on the host. Looks in /host/proc, where pods
   * without the host's PID namespace have the host's procfs mounted, otherwise in /proc. Returns null if neither has
   * it. `root` in that directory is the process's root directory, whatever its mount namespace.
   */
  containerProcess(pid: number): string | null;
  /** Returns the files mapped into the process with that /proc directory; empty if they cannot be read. */
  mappedFiles(process: string): MappedFile[];
  /**
   * Returns where the function that a name refers to in this process is in the file with that ID, in bytes; null if it is
   * not in that file.
   */
  functionHere(name: string, fileId: string): number | null;
  /** Returns the libraries in the dynamic linker's cache, of this system or below a root directory: soname -> path. */
  linkerCache(root: string | null): ReadonlyMap<string, string>;
}
