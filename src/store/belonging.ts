/**
 * A runtime directory belongs to one database, since no other database knows what is pinned there. The owner is stored
 * as the target of a dangling symlink, which can be replaced atomically and read with one system call: the database's
 * ID, the boot ID, and the database's path. A record of an earlier boot is void, like the pins of that boot.
 */
import * as fs from "../../ffi/safe/file-system.ts";
import { BpfmanError } from "../errors/error.ts";
import { errnoName, reasonOf, sysPart } from "../errors/sys-failure.ts";

export interface Place {
  /** The database's path. */
  readonly path: string;
  /** Null if nothing is pinned; only tests use databases without one. */
  readonly runtimeDir: string | null;
  readonly bootId: string;
}

interface Owner {
  readonly id: string;
  /** Its path when it was last written. */
  readonly path: string;
}

const recordIn = (runtimeDir: string): string => `${runtimeDir}/database`;

/** Returns the database that owns the runtime directory; null if none was recorded in this boot. */
function ownerOf({ runtimeDir, bootId }: Place): Owner | null {
  if (runtimeDir === null) return null;
  const record = recordIn(runtimeDir);
  let text: string;
  try {
    text = fs.readlinkSync(record);
  } catch (thrown) {
    // Without access here there is none to the database either, and opening that reports it.
    if (["ENOENT", "ENOTDIR", "EACCES"].includes(errnoName(thrown) ?? "")) return null;
    throw unreadable(record, errnoName(thrown) === "EINVAL" ? "it is not a symbolic link" : reasonOf(thrown));
  }
  const [, id, boot, path] = /^([0-9a-f]{32}) (\S+) (\/.*)$/s.exec(text) ?? [];
  if (id === undefined || path === undefined) throw unreadable(record, "bpfman did not write it");
  return boot === bootId ? { id, path } : null;
}

const unreadable = (path: string, reason: string): BpfmanError =>
  new BpfmanError("STATE_CONFLICT", `read "${path}", which names the database of this directory: ${reason}`, {
    details: { path },
    hint: "remove it: the next command that changes something writes a new one",
  });

/** Called before a writer opens its database, which would create a new one. Throws STATE_LOST, STATE_FOREIGN. */
export function requireNotLost(place: Place): void {
  const owner = ownerOf(place);
  if (owner !== null && isLost(place.path)) throw isLost(owner.path) ? lost(place) : foreign(place, owner);
}

/**
 * Called by a reader with its database open, whose id is empty if an empty one is used instead of one that was missing.
 * Returns a warning if it still is. Throws STATE_FOREIGN.
 */
export function readerWarning(place: Place, id: string): string | null {
  const owner = ownerOf(place);
  if (owner === null || isOwner(owner, place, id)) return null;
  // The first command that changes something has made it since.
  if (id === "" && owner.path === place.path && !isLost(place.path)) return null;
  if (!isLost(place.path) || !isLost(owner.path)) throw foreign(place, owner);
  return lost(place).message;
}

/**
 * Called by a writer with its database open and the lock held. Takes ownership of an unowned directory, and returns whether
 * nobody had it, as after a reboot. Throws STATE_FOREIGN.
 */
export function takeOver(place: Place, id: string): boolean {
  const { runtimeDir, bootId, path } = place;
  if (runtimeDir === null) return false;
  const owner = ownerOf(place);
  if (owner !== null && !isOwner(owner, place, id)) throw foreign(place, owner);
  if (owner?.path === path) return false;
  const record = recordIn(runtimeDir);
  const fresh = `${record}.new`;
  // Needed once per boot, so it is not in ffi/safe/file-system.ts, which has what each start needs.
  const { symlinkSync } = require("node:fs") as typeof import("node:fs");
  try {
    fs.mkdirSync(runtimeDir, { recursive: true, mode: 0o750 });
    // Left by a command that was killed between the two calls.
    if (fs.lstatSync(fresh) !== undefined) fs.unlinkSync(fresh);
    symlinkSync(`${id} ${bootId} ${path}`, fresh);
    fs.renameSync(fresh, record);
    return owner === null;
  } catch (thrown) {
    throw new BpfmanError("IO_FAILED", `write "${record}": ${reasonOf(thrown)}`, {
      details: { path: record },
      ...sysPart(thrown),
      cause: thrown,
    });
  }
}

/** Removes the owner record: the directory then belongs to no database. */
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

/** A copy at another path counts as a different database while the original still exists. */
const isOwner = (owner: Owner, { path }: Place, id: string): boolean =>
  owner.id === id && (owner.path === path || isLost(owner.path) || isSameFile(owner.path, path));

/** Missing, or without a header: bpfman never finished creating it. */
const isLost = (path: string): boolean => (fs.statSync(path)?.size ?? 0) === 0;

function isSameFile(a: string, b: string): boolean {
  const [one, other] = [fs.statSync(a), fs.statSync(b)];
  return one !== undefined && other !== undefined && one.ino === other.ino && one.dev === other.dev;
}

function lost({ path, runtimeDir }: Place): BpfmanError {
  return new BpfmanError(
    "STATE_LOST",
    `database "${path}" is missing or empty, but its pins are still in "${runtimeDir}"`,
    {
      details: { path, runtime_dir: runtimeDir },
      hint: "restore it from a copy; or run: bpfman repair, which writes a new one from the pins and the kernel, while programs keep running",
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
