/**
 * One runtime directory belongs to one database: another one would not know what is pinned there. Which one is written as
 * the text of a symbolic link, which is made at one stroke and read by one system call: the database's id, the boot, and
 * the path where it was. It leads nowhere. What an earlier boot wrote is as gone as its pins.
 */
import * as fs from "../../ffi/safe/file-system.ts";
import { BpfmanError } from "../errors/error.ts";
import { errnoName, reasonOf, sysPart } from "../errors/sys-failure.ts";

export interface Place {
  /** The database's. */
  readonly path: string;
  /** Null where nothing is pinned: only tests have databases without one. */
  readonly runtimeDir: string | null;
  readonly bootId: string;
}

interface Owner {
  readonly id: string;
  /** Where it was when it was last written to. */
  readonly path: string;
}

const recordIn = (runtimeDir: string): string => `${runtimeDir}/database`;

/** The database to which the runtime directory belongs; null when nobody has said so in this boot. */
function ownerOf({ runtimeDir, bootId }: Place): Owner | null {
  if (runtimeDir === null) return null;
  const record = recordIn(runtimeDir);
  let text: string;
  try {
    text = fs.readlinkSync(record);
  } catch (thrown) {
    // Who may not look here may not look at the database either, and hears that from it.
    if (["ENOENT", "ENOTDIR", "EACCES"].includes(errnoName(thrown) ?? "")) return null;
    throw unreadable(record, errnoName(thrown) === "EINVAL" ? "it is no symbolic link" : reasonOf(thrown));
  }
  const [, id, boot, path] = /^([0-9a-f]{32}) (\S+) (\/.*)$/s.exec(text) ?? [];
  if (id === undefined || path === undefined) throw unreadable(record, "its text is not bpfman's");
  return boot === bootId ? { id, path } : null;
}

const unreadable = (path: string, reason: string): BpfmanError =>
  new BpfmanError("STATE_CONFLICT", `read "${path}", which names the database of this directory: ${reason}`, {
    details: { path },
    hint: "remove it: the next command that changes something writes it anew",
  });

/** Before a writer opens its database, which would make a new one. Throws STATE_LOST, STATE_FOREIGN. */
export function requireNotLost(place: Place): void {
  const owner = ownerOf(place);
  if (owner !== null && isLost(place.path)) throw isLost(owner.path) ? lost(place) : foreign(place, owner);
}

/**
 * For a reader with its database open: answers a warning when the database is missing and an empty one stands in for it.
 * Throws STATE_FOREIGN.
 */
export function readerWarning(place: Place, id: string): string | null {
  const owner = ownerOf(place);
  if (owner === null || isOwner(owner, place, id)) return null;
  if (!isLost(place.path) || !isLost(owner.path)) throw foreign(place, owner);
  return lost(place).message;
}

/** For a writer with its database open, under the lock: takes a directory that belongs to nobody. Throws STATE_FOREIGN. */
export function takeOver(place: Place, id: string): void {
  const { runtimeDir, bootId, path } = place;
  if (runtimeDir === null) return;
  const owner = ownerOf(place);
  if (owner !== null && !isOwner(owner, place, id)) throw foreign(place, owner);
  if (owner?.path === path) return;
  const record = recordIn(runtimeDir);
  const fresh = `${record}.new`;
  try {
    fs.mkdirSync(runtimeDir, { recursive: true, mode: 0o750 });
    // Of a command that was killed between the two.
    if (fs.lstatSync(fresh) !== undefined) fs.unlinkSync(fresh);
    fs.symlinkSync(`${id} ${bootId} ${path}`, fresh);
    fs.renameSync(fresh, record);
  } catch (thrown) {
    throw new BpfmanError("IO_FAILED", `write "${record}": ${reasonOf(thrown)}`, {
      details: { path: record },
      ...sysPart(thrown),
      cause: thrown,
    });
  }
}

/** The directory belongs to nobody from now on. */
export function disown({ runtimeDir }: Pick<Place, "runtimeDir">): void {
  if (runtimeDir === null) return;
  const record = recordIn(runtimeDir);
  try {
    if (fs.lstatSync(record) !== undefined) fs.unlinkSync(record);
  } catch (thrown) {
    throw new BpfmanError("IO_FAILED", `remove "${record}": ${reasonOf(thrown)}`, {
      details: { path: record },
      ...sysPart(thrown),
      cause: thrown,
    });
  }
}

/** A copy that lies elsewhere is another database for as long as the one it was made of is there. */
const isOwner = (owner: Owner, { path }: Place, id: string): boolean =>
  owner.id === id && (owner.path === path || isLost(owner.path) || isSameFile(owner.path, path));

/** Missing, or without a header: nothing that bpfman ever finished making. */
const isLost = (path: string): boolean => (fs.statSync(path)?.size ?? 0) === 0;

function isSameFile(a: string, b: string): boolean {
  const [one, other] = [fs.statSync(a), fs.statSync(b)];
  return one !== undefined && other !== undefined && one.ino === other.ino && one.dev === other.dev;
}

function lost({ path, runtimeDir }: Place): BpfmanError {
  return new BpfmanError(
    "STATE_LOST",
    `database "${path}" is missing or empty: what it had pinned is in "${runtimeDir}"`,
    {
      details: { path, runtime_dir: runtimeDir },
      hint:
        `restore it from a copy; or give it up: after rm "${recordIn(runtimeDir ?? "")}" the next command begins an empty one, ` +
        `and what is pinned goes on running; umount "${runtimeDir}/fs" ends it`,
    },
  );
}

function foreign({ path, runtimeDir }: Place, owner: Owner): BpfmanError {
  const [what, how] =
    owner.path === path
      ? [`not to the one that is at "${path}" now`, "restore that one"]
      : [`not to "${path}"`, `give --state-dir "${owner.path.slice(0, owner.path.lastIndexOf("/")) || "/"}"`];
  return new BpfmanError("STATE_FOREIGN", `directory "${runtimeDir}" belongs to database "${owner.path}", ${what}`, {
    details: { runtime_dir: runtimeDir, path, owner: owner.path },
    hint: `${how}, or another --runtime-dir`,
  });
}
