import { release } from "node:os";
import { join } from "node:path";
import { type BpfObjectKind, objectIds, withObject } from "../../ffi/safe/bpf.ts";
import { closeFd } from "../../ffi/safe/libc.ts";
import { detachLink } from "../../ffi/safe/link.ts";
import { programId } from "../domain/ids.ts";
import { sysFailure } from "../errors/sys-failure.ts";
import type { KernelFeatures, KernelPort, LoadedObject, ObjectToLoad } from "../platform/kernel.ts";
import { attach } from "./attach.ts";
import { attempt, translate } from "./failure.ts";
import { kernelFunction, kernelFunctions } from "./kernel-function.ts";
import { readLink } from "./link-info.ts";
import { readMap } from "./map-info.ts";
import { lsmActive } from "./lsm.ts";
import { openPin } from "./pin.ts";

import { readProgram } from "./program-info.ts";
import { tcxState } from "./tcx.ts";
import { tracepointExists, tracepoints } from "./tracepoint.ts";

export interface KernelOptions {
  /** Folder in a bpffs below which the dispatchers are pinned that extensions are verified against. */
  readonly pinFolder: string;
}

/** The kernel this process runs on. Nothing is opened until it is asked for; libbpf only by `load` and `features`. */
export function openKernel({ pinFolder }: KernelOptions): KernelPort {
  let features: Promise<KernelFeatures> | undefined;
  return {
    release: release(),
    features: () => {
      features ??= probe();
      return features;
    },
    load: (object) => load(object, join(pinFolder, "dispatcher-test")),
    programIds: () =>
      attempt({ action: "list programs", code: "KERNEL_CALL_FAILED" }, () => objectIds("program")).map(programId),
    program: (id) => lookUp("program", id, readProgram),
    map: (id) => lookUp("map", id, readMap),
    link: (id) => lookUp("link", id, readLink),
    openPin,
    attach,
    tcxState,
    tracepoints,
    tracepointExists,
    kernelFunction,
    kernelFunctions,
    lsmActive,
    forceDetach: (id) => {
      lookUp("link", id, detachWherePossible);
    },
  };
}

/** What `read` says of the object with that id; null when there is none. */
const lookUp = <T>(kind: BpfObjectKind, id: number, read: (fd: number) => T): T | null =>
  attempt({ action: `open ${kind} ${id}`, code: "KERNEL_CALL_FAILED" }, () => withObject(kind, id, read));

/** Links of perf events cannot be detached: they go when nothing refers to them. */
function detachWherePossible(fd: number): void {
  try {
    detachLink(fd);
  } catch (thrown) {
    if (sysFailure(thrown)?.name !== "EOPNOTSUPP") throw thrown;
  }
}

async function probe(): Promise<KernelFeatures> {
  const { probeExtensions } = await import("./extension.ts");
  try {
    return { ext: await probeExtensions() };
  } catch (thrown) {
    throw translate(thrown, { action: "probe for extensions", code: "KERNEL_CALL_FAILED" });
  }
}

async function load(object: ObjectToLoad, dispatcherFolder: string): Promise<LoadedObject> {
  const [loader, { extensionTarget, SLOT }] = await Promise.all([import("./load.ts"), import("./extension.ts")]);
  const slots = new Map<"xdp" | "tc", { readonly programFd: number; readonly function: string }>();
  try {
    for (const { type, asExtension } of object.programs) {
      if (!asExtension || (type !== "xdp" && type !== "tc") || slots.has(type)) continue;
      slots.set(type, { programFd: await extensionTarget(dispatcherFolder, type), function: SLOT });
    }
    return loader.load(object, slots);
  } finally {
    for (const slot of slots.values()) closeFd(slot.programFd);
  }
}
