import { type BpfObjectKind, objectIds, openById } from "../../ffi/safe/bpf.ts";
import { readTextSync } from "../../ffi/safe/file-system.ts";
import { closeFd } from "../../ffi/safe/libc.ts";
import { waitForRunningPrograms } from "../../ffi/safe/membarrier.ts";
import { kernelLinkId, mapId, programId } from "../domain/ids.ts";
import { sysFailure } from "../errors/sys-failure.ts";
import type { Feature, FeatureName, KernelAttach, KernelPort } from "../platform/kernel.ts";
import { attempt } from "./kernel-failure.ts";
import type { Opener } from "./open-map.ts";
import { attachedLink, countsRuns, readBtf, readLink, readMap, readProgram } from "./read-info.ts";
import { detachWherePossible, openObject, openPin, withPinned } from "./pin.ts";

/** Far longer than any program runs on a packet. Used on kernels that cannot report the end of a grace period. */
const GRACE_MS = 100;

/**
 * A command performs lookups and uses one kind of hook at most, so each hook's code is loaded on demand. Uses
 * `require`, because most methods of the port cannot await `import()`.
 */
const tcx = () => require("./hooks/tcx-link.ts") as typeof import("./hooks/tcx-link.ts");
const xdp = () => require("./hooks/xdp-link.ts") as typeof import("./hooks/xdp-link.ts");
const tc = () => require("./hooks/tc-filter.ts") as typeof import("./hooks/tc-filter.ts");
const tracepoint = () => require("./hooks/tracepoint-link.ts") as typeof import("./hooks/tracepoint-link.ts");
const rawTp = () => require("./hooks/raw-tp-link.ts") as typeof import("./hooks/raw-tp-link.ts");
const kprobeMulti = () => require("./hooks/kprobe-multi-link.ts") as typeof import("./hooks/kprobe-multi-link.ts");
const uprobeMulti = () => require("./hooks/uprobe-multi-link.ts") as typeof import("./hooks/uprobe-multi-link.ts");
const perfEvent = () => require("./hooks/perf-event-link.ts") as typeof import("./hooks/perf-event-link.ts");
const iter = () => require("./hooks/iter-link.ts") as typeof import("./hooks/iter-link.ts");
const kprobe = () => require("./hooks/kprobe-link.ts") as typeof import("./hooks/kprobe-link.ts");
const uprobe = () => require("./hooks/uprobe-link.ts") as typeof import("./hooks/uprobe-link.ts");
const tracing = () => require("./hooks/tracing-link.ts") as typeof import("./hooks/tracing-link.ts");
const freplace = () => require("./hooks/freplace-link.ts") as typeof import("./hooks/freplace-link.ts");
const cgroup = () => require("./hooks/cgroup-link.ts") as typeof import("./hooks/cgroup-link.ts");
const directories = () => require("./hooks/cgroup-directory.ts") as typeof import("./hooks/cgroup-directory.ts");
const netns = () => require("./hooks/netns-link.ts") as typeof import("./hooks/netns-link.ts");
const netfilter = () => require("./hooks/netfilter-link.ts") as typeof import("./hooks/netfilter-link.ts");
const content = () => require("./load/map-content.ts") as typeof import("./load/map-content.ts");
const events = () => require("./open-events.ts") as typeof import("./open-events.ts");
const runs = () => require("./run-counts.ts") as typeof import("./run-counts.ts");
const trace = () => require("./open-trace.ts") as typeof import("./open-trace.ts");
const names = () => require("./explain/whole-name.ts") as typeof import("./explain/whole-name.ts");
const functions = () => require("./hooks/kernel-function.ts") as typeof import("./hooks/kernel-function.ts");
const pinned = () => require("./pinned-object.ts") as typeof import("./pinned-object.ts");
const security = () => require("./explain/security.ts") as typeof import("./explain/security.ts");

/**
 * The kernel this process runs on. Everything is opened on demand; libbpf only for loading. `pins` is bpfman's bpffs,
 * where objects are found without CAP_SYS_ADMIN.
 */
export function openKernel(pins: string | null = null): KernelPort {
  const open = openerWith(pins);
  const lookUp = lookUpWith(open);
  return {
    feature,
    load: async (object) => (await import("./load/load-object.ts")).load(object),
    verify: async (object) => (await import("./load/verify-program.ts")).verify(object),
    release: () => readTextSync("/proc/sys/kernel/osrelease").trim(),
    programIds: () => allIds("program").map(programId),
    program: (id) => lookUp("program", id, readProgram),
    wholeName: (program) => names().wholeName(program),
    map: (id) => lookUp("map", id, readMap),
    mapIds: () => allIds("map").map(mapId),
    mapOpener: async () => {
      const { openMap } = await import("./open-map.ts");
      return (id) => openMap(id, open);
    },
    openEvents: (id) => events().openEvents(id, open),
    openTrace: () => trace().openTrace(),
    programBtf: ({ id, btfId }) =>
      attempt({ action: `read the BTF of program ${id}`, code: "KERNEL_CALL_FAILED" }, () => readBtf(btfId)),
    mapContent: (id) => lookUp("map", id, content().readMapContent),
    firstValue: (id) => lookUp("map", id, content().readFirstValue),
    linkIds: () => allIds("link").map(kernelLinkId),
    link: (id) => lookUp("link", id, readLink),
    countsRuns,
    countRuns: () => runs().countRuns(),
    programRuns: (id) => lookUp("program", id, runs().readRuns),
    watchProgram: async (id) => (await import("./load/watch-program.ts")).watchProgram(id),
    openPin,
    openObject,
    attach: (program, target) => withPinned("attach", program, (fd) => attachedLink(createLink(fd, target))),
    openIterator: (link) => iter().openIterator(link),
    tcxState: (hook) => tcx().tcxState(hook),
    cgroup: (path) => directories().findCgroup(path),
    cgroups: (prefix) => directories().cgroups(prefix),
    cgroupState: (hook) => cgroup().cgroupState(hook),
    tracepoints: () => tracepoint().tracepoints(),
    rawTracepoints: () => tracepoint().rawTracepoints(),
    tracepointExists: (group, name) => tracepoint().tracepointExists(group, name),
    functionsNamed: (name) => functions().functionsNamed(name),
    functionsAt: (address) => functions().functionsAt(address),
    kernelFunctions: (prefix) => functions().kernelFunctions(prefix),
    traceableFunctions: () => tracepoint().traceableFunctions(),
    lsmActive: () =>
      attempt({ action: "read the list of security modules", code: "KERNEL_UNSUPPORTED" }, () =>
        security().activeSecurityModules().includes("bpf"),
      ),
    loadDispatcher: async (dispatcher) => (await import("./load/load-dispatcher.ts")).loadDispatcher(dispatcher),
    xdpHolder: (hook) => xdp().xdpHolder(hook),
    attachXdp: (...args) => xdp().attachXdp(...args),
    swapProgram: (...args) => xdp().swapProgram(...args),
    attachTc: (...args) => tc().attachTc(...args),
    replaceTc: (...args) => tc().replaceTc(...args),
    tcFilterProgram: (...args) => tc().tcFilterProgram(...args),
    hasTcFilterBehind: (...args) => tc().hasTcFilterBehind(...args),
    detachTc: (...args) => tc().detachTc(...args),
    waitForRunningPrograms: () => {
      if (!waitForRunningPrograms()) Bun.sleepSync(GRACE_MS);
    },
    forceDetach: (id) => {
      lookUp("link", id, detachWherePossible);
    },
  };
}

/** Creates a link of any kind and returns its descriptor. */
function createLink(program: number, target: KernelAttach): number {
  if ("cgroupId" in target) return cgroup().attachCgroup(program, target);
  switch (target.kind) {
    case "sk_lookup":
      return netns().attachSkLookup(program, target);
    case "netfilter":
      return netfilter().attachNetfilter(program, target);
    case "tcx":
      return tcx().attachTcx(program, target);
    case "tracepoint":
      return tracepoint().attachTracepoint(program, target);
    case "raw_tp":
      return rawTp().attachRawTp(program, target);
    case "kprobe.multi":
    case "kretprobe.multi":
      return kprobeMulti().attachKprobeMulti(program, target);
    case "uprobe.multi":
    case "uretprobe.multi":
      return uprobeMulti().attachUprobeMulti(program, target);
    case "perf_event":
      return perfEvent().attachPerfEvent(program, target);
    case "iter":
      return iter().attachIter(program, target);
    case "kprobe":
    case "kretprobe":
      return kprobe().attachKprobe(program, target);
    case "uprobe":
    case "uretprobe":
      return uprobe().attachUprobe(program, target);
    case "freplace":
      return freplace().attachFreplace(program, target);
    case "fentry":
    case "fexit":
    case "lsm":
    case "tp_btf":
    case "fmod_ret":
      return tracing().attachTracing(program, target);
  }
}

const allIds = (kind: BpfObjectKind): number[] =>
  attempt({ action: `list ${kind}s`, code: "KERNEL_CALL_FAILED" }, () => {
    try {
      return objectIds(kind);
    } catch (thrown) {
      if (sysFailure(thrown)?.name !== "EPERM") throw thrown;
      throw pinned().notAllowed(`list ${kind}s: finding those of others`, thrown);
    }
  });

/** Only CAP_SYS_ADMIN may open objects by ID; without it, they are looked for among the pins below `pins`. */
const openerWith =
  (pins: string | null): Opener =>
  (kind, id) => {
    try {
      return openById(kind, id);
    } catch (thrown) {
      if (pins === null || sysFailure(thrown)?.name !== "EPERM") throw thrown;
      return pinned().openPinnedObject(pins, { kind, id, refusal: thrown });
    }
  };

/** Returns what `read` reads from the object with that ID; null if there is none. */
const lookUpWith =
  (open: Opener) =>
  <T>(kind: BpfObjectKind, id: number, read: (fd: number) => T): T | null =>
    attempt({ action: `open ${kind} ${id}`, code: "KERNEL_CALL_FAILED" }, () => {
      const fd = open(kind, id);
      if (fd === null) return null;
      try {
        return read(fd);
      } finally {
        closeFd(fd);
      }
    });

async function feature(name: FeatureName): Promise<Feature> {
  const trials = await import("./explain/features.ts");
  return attempt({ action: `try "${name}"`, code: "KERNEL_CALL_FAILED" }, () => trials.feature(name));
}
