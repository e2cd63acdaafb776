import { type BpfObjectKind, detachLink, objectKind, openById, openPinned, pinObject } from "../../ffi/safe/bpf.ts";
import { closeFd } from "../../ffi/safe/libc.ts";
import { objectId } from "../../ffi/safe/object-info.ts";
import { kernelLinkId, mapId, programId } from "../domain/ids.ts";
import type { Pin } from "../domain/pin.ts";
import { BpfmanError, type SysFailure } from "../errors/error.ts";
import { anotherObject, NOT_OURS_HINT } from "../errors/another-object.ts";
import type { PinnedHandle, PinnedId } from "../platform/kernel.ts";
import { sysFailure } from "../errors/sys-failure.ts";
import { attempt, type Meaning } from "./kernel-failure.ts";

function explainPin(sys: SysFailure): Meaning | null {
  switch (sys.name) {
    case "EEXIST":
      return { code: "STATE_CONFLICT", reason: "something is pinned there already", hint: NOT_OURS_HINT };
    case "EPERM":
      return {
        code: "BPFFS_UNAVAILABLE",
        reason: "the directory is not in a BPF file system, or the kernel does not allow it",
      };
    default:
      return null;
  }
}

/** Pins the object behind `fd`. `what` names it in messages. Throws STATE_CONFLICT, BPFFS_UNAVAILABLE, IO_FAILED. */
export function pin(what: string, fd: number, path: string): void {
  const action = `pin ${what} at "${path}"`;
  attempt({ action, code: "IO_FAILED", explain: explainPin }, () => pinObject(fd, path));
}

/** Opens what is pinned at `path`; the caller closes the descriptor. Returns null if there is nothing. */
function openPinFd(path: string): number | null {
  const explain = (sys: SysFailure): Meaning | null =>
    sys.name === "EACCES" || sys.name === "EPERM" || sys.name === "ENOTDIR"
      ? {
          code: "STATE_CONFLICT",
          reason: "it is not a pin in a BPF file system",
          hint: 'a pin is a path in a BPF file system, such as /sys/fs/bpf; "bpfman map list -o json" shows those of maps',
        }
      : null;
  return attempt({ action: `open the pin "${path}"`, code: "IO_FAILED", explain }, () => openPinned(path));
}

type Found = PinnedId & { readonly fd: number };

/** Opens what is pinned at `path` and identifies it; returns null if there is nothing. */
function lookAt(path: string): Found | null {
  const fd = openPinFd(path);
  if (fd === null) return null;
  try {
    const action = `open the pin "${path}"`;
    const kind = attempt({ action, code: "IO_FAILED" }, () => objectKind(fd));
    if (kind === null) {
      const details = { pin: path };
      throw new BpfmanError("STATE_CONFLICT", `${action}: it is not a program, a map or a link`, { details });
    }
    const id = attempt({ action: `look at the pin "${path}"`, code: "KERNEL_CALL_FAILED" }, () => pinnedId(kind, fd));
    return { fd, ...id };
  } catch (thrown) {
    closeFd(fd);
    throw thrown;
  }
}

/** Like {@link lookAt}, but throws STATE_CONFLICT if it is another object than expected. */
function lookAtOwn(pin: Pin): Found | null {
  const found = lookAt(pin.path);
  if (found === null || (found.kind === pin.kind && found.id === pin.id)) return found;
  closeFd(found.fd);
  throw anotherObject(pin, found);
}

/**
 * Opens the object expected at a pin; the caller closes the descriptor. Returns null if nothing is pinned. Throws
 * STATE_CONFLICT if another object is.
 */
export const openOwnFd = (pin: Pin): number | null => lookAtOwn(pin)?.fd ?? null;

/**
 * Calls `work` with the object expected at a pin open, then closes it. `action` starts the messages. Throws
 * STATE_CONFLICT if nothing, or another object, is pinned there.
 */
export function withPinned<T>(action: string, pin: Pin, work: (fd: number) => T): T {
  const fd = openOwnFd(pin);
  if (fd === null) {
    throw new BpfmanError("STATE_CONFLICT", `${action}: no ${pin.kind} is pinned at "${pin.path}"`, {
      details: { pin: pin.path },
    });
  }
  try {
    return work(fd);
  } finally {
    closeFd(fd);
  }
}

/**
 * Closing the last reference to a link detaches it before `close` returns (bpf_link_release). Removing the last pin
 * does not: the kernel defers that to a work queue, and the ID disappears before the program has stopped running.
 */
export function openPin(wanted: string | Pin): PinnedHandle | null {
  const found = typeof wanted === "string" ? lookAt(wanted) : lookAtOwn(wanted);
  return found === null ? null : handleOf(found);
}

/** Opens an object by its ID; returns null if there is none. */
export function openObject({ kind, id }: PinnedId): PinnedHandle | null {
  const fd = attempt({ action: `open ${kind} ${id}`, code: "KERNEL_CALL_FAILED" }, () => openById(kind, id));
  return fd === null ? null : handleOf({ fd, kind, id } as Found);
}

function handleOf({ fd, ...pinned }: Found): PinnedHandle {
  let open = true;
  return {
    ...pinned,
    pin: (target) => pin(`${pinned.kind} ${pinned.id}`, fd, target),
    detach: () =>
      attempt({ action: `detach ${pinned.kind} ${pinned.id}`, code: "KERNEL_CALL_FAILED" }, () =>
        detachWherePossible(fd),
      ),
    close: () => {
      if (open) closeFd(fd);
      open = false;
    },
  };
}

/** Perf event links cannot be detached: they are released with their last reference. */
export function detachWherePossible(fd: number): void {
  try {
    detachLink(fd);
  } catch (thrown) {
    if (sysFailure(thrown)?.name !== "EOPNOTSUPP") throw thrown;
  }
}

export function pinnedId(kind: BpfObjectKind, fd: number): PinnedId {
  switch (kind) {
    case "program":
      return { kind, id: programId(objectId(fd)) };
    case "map":
      return { kind, id: mapId(objectId(fd)) };
    case "link":
      return { kind, id: kernelLinkId(objectId(fd)) };
  }
}
