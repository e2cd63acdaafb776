/** Finds objects by ID among bpfman's own pins, for processes without CAP_SYS_ADMIN. */
import { type BpfObjectKind, objectKind, openPinned } from "../../ffi/safe/bpf.ts";
import * as fs from "../../ffi/safe/file-system.ts";
import { closeFd } from "../../ffi/safe/libc.ts";
import { capabilitiesMissing } from "../errors/capabilities.ts";
import { effectiveCapabilities } from "../domain/capabilities.ts";
import { sysFailure } from "../errors/sys-failure.ts";
import { pinnedId } from "./pin.ts";

interface Wanted {
  readonly kind: BpfObjectKind;
  readonly id: number;
  /** The EPERM for opening it by its ID. */
  readonly refusal: unknown;
}

/** What is pinned at a path, and the inode of the pin: a new pin has a new one. */
interface Pinned {
  readonly inode: bigint;
  readonly what: string;
}

const whatIs = (kind: BpfObjectKind, id: number): string => `${kind} ${id}`;

/** Pins by path, as they were found last: to list objects, each pin is opened once instead of once for each object. */
let known: ReadonlyMap<string, Pinned> = new Map();

/**
 * Opens the object that has this ID; the caller closes the descriptor. Throws PERMISSION_DENIED if it is not pinned:
 * without CAP_SYS_ADMIN, nobody can say whether it exists.
 */
export function openPinnedObject(root: string, wanted: Wanted): number {
  let fd = openKnown(root, wanted);
  if (fd === null) {
    lookAround(root);
    fd = openKnown(root, wanted);
  }
  if (fd !== null) return fd;
  throw notAllowed(
    `open ${wanted.kind} ${wanted.id}: it is not pinned in "${root}", and opening it by its ID`,
    wanted.refusal,
  );
}

/** Tries the pins that may hold the object. Their paths are those of src/bpffs/paths.ts. */
function openKnown(root: string, { kind, id }: Wanted): number | null {
  const what = whatIs(kind, id);
  const paths = kind === "program" ? [`${root}/prog_${id}`] : [];
  for (const [path, pinned] of known) if (pinned.what === what) paths.push(path);
  for (const path of paths) {
    const fd = openOther(path);
    if (fd === null) continue;
    if (identified(fd) === what) return fd;
    closeFd(fd);
  }
  return null;
}

function lookAround(root: string): void {
  const found = new Map<string, Pinned>();
  for (const { path, inode } of filesBelow(root)) {
    const before = known.get(path);
    const pinned = before?.inode === inode ? before : lookAt(path, inode);
    if (pinned !== null) found.set(path, pinned);
  }
  known = found;
}

function lookAt(path: string, inode: bigint): Pinned | null {
  const fd = openOther(path);
  if (fd === null) return null;
  try {
    const what = identified(fd);
    return what === null ? null : { inode, what };
  } finally {
    closeFd(fd);
  }
}

function identified(fd: number): string | null {
  const kind = objectKind(fd);
  return kind === null ? null : whatIs(kind, pinnedId(kind, fd).id);
}

/** Creates the error for a call that takes CAP_SYS_ADMIN; returns `refusal` itself if this process has it. */
export function notAllowed(what: string, refusal: unknown): unknown {
  const effective = effectiveCapabilities(fs.readTextSync("/proc/self/status"));
  return effective.includes("CAP_SYS_ADMIN") ? refusal : capabilitiesMissing(what, ["CAP_SYS_ADMIN"], effective);
}

function* filesBelow(directory: string): Generator<{ readonly path: string; readonly inode: bigint }> {
  for (const name of entries(directory)) {
    const path = `${directory}/${name}`;
    const stats = fs.lstatSync(path);
    if (stats?.isDirectory()) yield* filesBelow(path);
    else if (stats !== undefined) yield { path, inode: stats.ino };
  }
}

/** Empty for what is gone, or is not this user's. */
function entries(directory: string): string[] {
  try {
    return fs.readdirSync(directory);
  } catch (thrown) {
    if (sysFailure(thrown) === null) throw thrown;
    return [];
  }
}

function openOther(path: string): number | null {
  try {
    return openPinned(path);
  } catch (thrown) {
    if (sysFailure(thrown) === null) throw thrown;
    return null;
  }
}
