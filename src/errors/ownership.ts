/**
 * Whose files bpfman trusts: those of root and of the user it runs as, in which nobody else can write. Whoever may write
 * to its state, or lead it elsewhere by a link, decides what a process of root's does.
 */
import type { ErrorCode } from "./codes.ts";
import { BpfmanError } from "./error.ts";

/** As much of a file as tells; node:fs and ffi/safe/file-system.ts both give it. */
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
  /** What else can be done, as in `give another --state-dir`. */
  readonly otherwise: string;
}

/**
 * Throws `code` unless the file is of the kind, belongs to root or the effective user, and only its owner can write to it.
 * `stats` are those of the path itself or of a descriptor, never of what a link leads to.
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

/** S_ISVTX (inode(7)): whoever may write there removes only files of their own. */
const STICKY = 0o1000;

/** A symbolic link of root's or the effective user's, who could have made there what it leads to. */
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
  // As /tmp: everybody's on purpose.
  if ((stats.mode & STICKY) !== 0) {
    return { problem: `other users can write to it (mode ${mode})`, remedy: `make a directory in it` };
  }
  return { problem: `other users can write to it (mode ${mode})`, remedy: `chmod go-w "${path}"` };
}
