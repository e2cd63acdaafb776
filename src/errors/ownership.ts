/**
 * Which files bpfman trusts: those owned by root or by the effective user and writable by nobody else. Whoever can
 * write to bpfman's state, or redirect it with a symlink, controls what a root process does.
 */
import type { ErrorCode } from "./codes.ts";
import { BpfmanError } from "./error.ts";

/** The fields needed, which both node:fs and ffi/safe/file-system.ts provide. */
interface Stats {
  readonly uid: number;
  readonly mode: number;
  isFile(): boolean;
  isDirectory(): boolean;
  isSymbolicLink(): boolean;
}

interface Owned {
  /** As in `use the state directory`. */
  readonly action: string;
  readonly path: string;
  readonly kind: "directory" | "file";
  readonly code: ErrorCode;
  /** The alternative offered, as in `give another --state-dir`. */
  readonly otherwise: string;
}

/**
 * Throws `code` unless the file has the expected type, belongs to root or the effective user, and is writable only by
 * its owner. `stats` must describe the path itself or a descriptor, never the target of a symlink.
 */
export function requireOwn(owned: Owned, stats: Stats): void {
  const { action, path, code, otherwise } = owned;
  const found = problemOf(owned, stats);
  if (found === null) return;
  throw new BpfmanError(code, `${action} "${path}": ${found.problem}`, {
    details: { path, uid: stats.uid, mode: octal(stats.mode) },
    hint: `${found.remedy}, or ${otherwise}`,
  });
}

/** S_ISVTX (inode(7)): users can only remove their own files from this directory. */
const STICKY = 0o1000;

/**
 * Reports whether a symlink belongs to root or the effective user, who could also have created its target in its place.
 */
export const isOwnLink = (stats: Stats | undefined): boolean => stats?.isSymbolicLink() === true && isOwn(stats.uid);

const isOwn = (uid: number): boolean => uid === 0 || uid === process.geteuid?.();

const octal = (mode: number): string => (mode & 0o7777).toString(8);

function problemOf({ path, kind }: Owned, stats: Stats): { readonly problem: string; readonly remedy: string } | null {
  const mode = octal(stats.mode);
  if (stats.isSymbolicLink()) return { problem: "it is a symbolic link", remedy: `put a ${kind} there` };
  if (kind === "directory" ? !stats.isDirectory() : !stats.isFile()) {
    return { problem: `it is not a ${kind === "directory" ? kind : "regular file"}`, remedy: "move it away" };
  }
  if (!isOwn(stats.uid)) {
    const command = `chown ${kind === "directory" ? "-R " : ""}root "${path}"`;
    return {
      problem: `it belongs to user ${stats.uid}`,
      remedy: `check what that user put there and, if you trust it, run ${command}`,
    };
  }
  if ((stats.mode & 0o022) === 0) return null;
  // Like /tmp, writable by everyone on purpose.
  if ((stats.mode & STICKY) !== 0) {
    return { problem: `other users can write to it (mode ${mode})`, remedy: `make a directory in it` };
  }
  return { problem: `other users can write to it (mode ${mode})`, remedy: `chmod go-w "${path}"` };
}
