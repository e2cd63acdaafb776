import { linkInfo } from "../../ffi/safe/object-info.ts";
import { kernelLinkId, programId } from "../domain/ids.ts";
import type { KernelLink } from "../platform/kernel.ts";

/** About the link behind `fd`. */
export function readLink(fd: number): KernelLink {
  const { id, programId: program, type, attachType } = linkInfo(fd);
  return { id: kernelLinkId(id), programId: programId(program), type, attachType };
}
