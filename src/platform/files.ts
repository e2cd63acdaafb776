import type { ProgramId } from "../domain/ids.ts";

/** Random access to a file that may be large. */
export interface ByteSource {
  /** Bytes in the file. */
  readonly size: number;
  /** Exactly `length` bytes from `offset`, or fewer at the end of the file. */
  read(offset: number, length: number): Uint8Array;
  close(): void;
}

/** Ordinary files: the user's object files, bpfman's copies of them, and what /proc says of processes. */
export interface FilesPort {
  /** Reads a regular file of at most `bytesMax`. Throws FILE_NOT_FOUND, FILE_UNREADABLE. */
  readObject(path: string, bytesMax: number): Uint8Array;
  absolute(path: string): string;

  bytecodePath(id: ProgramId): string;
  saveBytecode(id: ProgramId, bytes: Uint8Array): void;
  /** False when there was none. */
  removeBytecode(id: ProgramId): boolean;
  bytecodeExists(id: ProgramId): boolean;
  /** Program ids that have a copy. */
  bytecodeIds(): ProgramId[];

  /** Opens a file to find symbols in; null when it is not there. Throws FILE_UNREADABLE for what is no regular file. */
  openBinary(path: string): ByteSource | null;
  processExists(pid: number): boolean;
  /** File paths mapped into a process, as that process sees them; empty when they cannot be read. */
  mappedFiles(pid: number): string[];
  /** Libraries of the dynamic linker's cache under `root` ("" for this system): soname -> path. */
  linkerCache(root: string): ReadonlyMap<string, string>;
}
