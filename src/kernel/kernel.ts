import { type ChainedKind, isChainedKind } from "../domain/kinds.ts";
import { type BpfObjectKind, objectIds, withObject } from "../../ffi/safe/bpf.ts";
import { closeFd } from "../../ffi/safe/libc.ts";
import { detachLink } from "../../ffi/safe/link.ts";
import { waitForRunningPrograms } from "../../ffi/safe/membarrier.ts";
import { programId } from "../domain/ids.ts";
import { sysFailure } from "../errors/sys-failure.ts";
import type { Feature, FeatureName, KernelPort, LoadedObject, ObjectToLoad } from "../platform/kernel.ts";
import { attempt } from "./failure.ts";
import { readLink } from "./link-info.ts";
import { readMap, readMapContent } from "./map-info.ts";
import { openPin } from "./pin.ts";
import { countsRuns, readProgram } from "./program-info.ts";

/** Far longer than any program runs on a packet; for kernels that cannot tell when that is over. */
const GRACE_MS = 100;

export interface KernelOptions {
  /** Folder in a bpffs in which the dispatchers are pinned that extensions are verified against. */
  readonly testDispatchers: string;
}

/**
 * A command looks things up, and uses one kind of hook at most: the rest stays on disk. `require` because most of the port
 * cannot wait for an `import()`.
 */
const attaching = () => require("./attach.ts") as typeof import("./attach.ts");
const tcx = () => require("./tcx.ts") as typeof import("./tcx.ts");
const xdp = () => require("./xdp.ts") as typeof import("./xdp.ts");
const tc = () => require("./tc.ts") as typeof import("./tc.ts");
const tracing = () => require("./tracepoint.ts") as typeof import("./tracepoint.ts");
const functions = () => require("./kernel-function.ts") as typeof import("./kernel-function.ts");
const security = () => require("./lsm.ts") as typeof import("./lsm.ts");

/** The kernel this process runs on. Nothing is opened until it is asked for; libbpf only to load. */
export function openKernel({ testDispatchers }: KernelOptions): KernelPort {
  return {
    feature,
    load: (object) => load(object, testDispatchers),
    programIds: () =>
      attempt({ action: "list programs", code: "KERNEL_CALL_FAILED" }, () => objectIds("program")).map(programId),
    program: (id) => lookUp("program", id, readProgram),
    map: (id) => lookUp("map", id, readMap),
    mapContent: (id) => lookUp("map", id, readMapContent),
    link: (id) => lookUp("link", id, readLink),
    countsRuns,
    openPin,
    attach: (program, target) => attaching().attach(program, target),
    tcxState: (hook) => tcx().tcxState(hook),
    tracepoints: () => tracing().tracepoints(),
    tracepointExists: (group, name) => tracing().tracepointExists(group, name),
    kernelFunction: (name) => functions().kernelFunction(name),
    kernelFunctions: (prefix) => functions().kernelFunctions(prefix),
    lsmActive: () => security().lsmActive(),
    loadDispatcher: async (dispatcher) => (await import("./dispatcher.ts")).loadDispatcher(dispatcher),
    xdpHolder: (hook) => xdp().xdpHolder(hook),
    attachXdp: (...args) => xdp().attachXdp(...args),
    swapXdp: (...args) => xdp().swapXdp(...args),
    attachTc: (...args) => tc().attachTc(...args),
    replaceTc: (...args) => tc().replaceTc(...args),
    tcFilterProgram: (...args) => tc().tcFilterProgram(...args),
    detachTc: (...args) => tc().detachTc(...args),
    waitForRunningPrograms: () => {
      if (!waitForRunningPrograms()) Bun.sleepSync(GRACE_MS);
    },
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

async function feature(name: FeatureName): Promise<Feature> {
  const trials = await import("./features.ts");
  return attempt({ action: `try "${name}"`, code: "KERNEL_CALL_FAILED" }, () => trials.feature(name));
}

async function load(object: ObjectToLoad, dispatcherFolder: string): Promise<LoadedObject> {
  const [loader, { extensionTarget, SLOT }] = await Promise.all([import("./load.ts"), import("./extension.ts")]);
  const slots = new Map<ChainedKind, { readonly programFd: number; readonly function: string }>();
  try {
    for (const { type, asExtension } of object.programs) {
      if (!asExtension || !isChainedKind(type) || slots.has(type)) continue;
      slots.set(type, {
        programFd: await extensionTarget(dispatcherFolder, type, object.testDispatchers),
        function: SLOT,
      });
    }
    return loader.load(object, slots);
  } finally {
    for (const slot of slots.values()) closeFd(slot.programFd);
  }
}
