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

/**
 * Opens the object that has this ID; the caller closes the descriptor. Throws PERMISSION_DENIED if it is not pinned:
 * without CAP_SYS_ADMIN, nobody can say whether it exists.
 */
export function openPinnedObject(root: string, wanted: Wanted): number {
  for (const path of candidates(root, wanted)) {
    const fd = openOther(path);
    if (fd === null) continue;
    if (isWanted(fd, wanted)) return fd;
    closeFd(fd);
  }
  throw notAllowed(
    `open ${wanted.kind} ${wanted.id}: it is not pinned in "${root}", and opening it by its ID`,
    wanted.refusal,
  );
}

function isWanted(fd: number, wanted: Wanted): boolean {
  const kind = objectKind(fd);
  return kind === wanted.kind && pinnedId(kind, fd).id === wanted.id;
}

/** Creates the error for a call that takes CAP_SYS_ADMIN; returns `refusal` itself if this process has it. */
export function notAllowed(what: string, refusal: unknown): unknown {
  const effective = effectiveCapabilities(fs.readTextSync("/proc/self/status"));
  return effective.includes("CAP_SYS_ADMIN") ? refusal : capabilitiesMissing(what, ["CAP_SYS_ADMIN"], effective);
}

/** Pins that could hold the object, the likely one first. Their paths are those of src/bpffs/paths.ts. */
function* candidates(root: string, { kind, id }: Wanted): Generator<string> {
  const likely = kind === "program" ? `${root}/prog_${id}` : null;
  if (likely !== null) yield likely;
  for (const path of filesBelow(root)) if (path !== likely) yield path;
}

function* filesBelow(directory: string): Generator<string> {
  for (const name of entries(directory)) {
    const path = `${directory}/${name}`;
    if (fs.lstatSync(path)?.isDirectory()) yield* filesBelow(path);
    else yield path;
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
