import { type BpfObjectKind, objectKind, openPinned, pinObject } from "../../ffi/safe/bpf.ts";
import { closeFd } from "../../ffi/safe/libc.ts";
import { linkInfo, mapInfo, programInfo } from "../../ffi/safe/object-info.ts";
import { BpfmanError, type SysFailure } from "../errors/error.ts";
import type { PinnedHandle } from "../platform/kernel.ts";
import { attempt, type Meaning } from "./failure.ts";

function explainPin(sys: SysFailure): Meaning | null {
  switch (sys.name) {
    case "EEXIST":
      return { code: "STATE_CONFLICT", reason: "something is pinned there already" };
    case "EPERM":
      return { code: "BPFFS_UNAVAILABLE", reason: "the folder is not in a BPF file system, or the kernel refuses it" };
    default:
      return null;
  }
}

/** Pins the object behind `fd`. `what` names it in messages. Throws STATE_CONFLICT, BPFFS_UNAVAILABLE, IO_FAILED. */
export function pin(what: string, fd: number, path: string): void {
  const action = `pin ${what} at "${path}"`;
  attempt({ action, code: "IO_FAILED", explain: explainPin }, () => pinObject(fd, path));
}

/** What is pinned at `path`, as a descriptor to close; null when nothing is. */
export function openPinFd(path: string): number | null {
  const explain = (sys: SysFailure): Meaning | null =>
    sys.name === "EACCES" || sys.name === "EPERM" || sys.name === "ENOTDIR"
      ? { code: "STATE_CONFLICT", reason: "that is no pin in a BPF file system" }
      : null;
  return attempt({ action: `open the pin "${path}"`, code: "IO_FAILED", explain }, () => openPinned(path));
}

/**
 * Runs `work` with the descriptor of what is pinned at `path`, and closes it. `action` begins the messages. Throws
 * STATE_CONFLICT when nothing is pinned there, or something of another kind.
 */
function withPinned<T>(kind: BpfObjectKind, pinned: { action: string; path: string }, work: (fd: number) => T): T {
  const { action, path } = pinned;
  const conflict = (reason: string) =>
    new BpfmanError("STATE_CONFLICT", `${action}: ${reason}`, { details: { pin: path } });
  const fd = openPinFd(path);
  if (fd === null) throw conflict(`no ${kind} is pinned at "${path}"`);
  try {
    if (objectKind(fd) !== kind) throw conflict(`"${path}" is no ${kind}`);
    return work(fd);
  } finally {
    closeFd(fd);
  }
}

/** Runs `work` with the program pinned at `path` open. Throws STATE_CONFLICT when there is none. */
export const withPinnedProgram = <T>(action: string, path: string, work: (program: number) => T): T =>
  withPinned("program", { action, path }, work);

/** Runs `work` with the link pinned at `path` open. Throws STATE_CONFLICT when there is none. */
export const withPinnedLink = <T>(action: string, path: string, work: (link: number) => T): T =>
  withPinned("link", { action, path }, work);

/**
 * Of a link that has no other reference, `close` detaches before it returns (bpf_link_release). Removing the last pin does
 * not: the kernel leaves that to a work queue, and says that the id is gone before the program has stopped running.
 */
export function openPin(path: string): PinnedHandle | null {
  const fd = openPinFd(path);
  if (fd === null) return null;
  let open = true;
  const close = () => {
    if (open) closeFd(fd);
    open = false;
  };
  try {
    const kind = attempt({ action: `open the pin "${path}"`, code: "IO_FAILED" }, () => objectKind(fd));
    const id = { program: programInfo, map: mapInfo, link: linkInfo }[kind](fd).id;
    return { kind, id, pin: (target) => pin(`${kind} ${id}`, fd, target), close };
  } catch (thrown) {
    close();
    throw thrown;
  }
}
