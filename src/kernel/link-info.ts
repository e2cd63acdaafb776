import { closeFd } from "../../ffi/safe/libc.ts";
import { linkInfo } from "../../ffi/safe/object-info.ts";
import { kernelLinkId, programId } from "../domain/ids.ts";
import type { AttachedLink, KernelLink } from "../platform/kernel.ts";
import { pin } from "./pin.ts";

/** About the link behind `fd`. */
export function readLink(fd: number): KernelLink {
  const info = linkInfo(fd);
  return { ...info, id: kernelLinkId(info.id), programId: programId(info.programId) };
}

/** Takes over the descriptor of a new link. */
export function attachedLink(fd: number): AttachedLink {
  let open = true;
  const close = () => {
    if (open) closeFd(fd);
    open = false;
  };
  try {
    const { id } = readLink(fd);
    return { id, pin: (path) => pin(`link ${id}`, fd, path), close };
  } catch (thrown) {
    close();
    throw thrown;
  }
}
