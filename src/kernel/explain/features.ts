/**
 * Determines what this kernel lets this process do by trying it: loading and attaching a trivial program, opening an
 * event, querying a hook. Needs no libbpf. Everything is closed again, and no program gets to run.
 */
import { readFileSync } from "node:fs";
import { closeFd } from "../../../ffi/safe/libc.ts";
import { LibraryError } from "../../../ffi/safe/library.ts";
import { createExtensionLink, createPerfLink, createTracingLink, queryHook } from "../../../ffi/safe/bpf-link.ts";
import { openFileSystem } from "../../../ffi/safe/mount.ts";
import { programInfo } from "../../../ffi/safe/object-info.ts";
import { openDummyEvent, openKprobe } from "../../../ffi/safe/perf.ts";
import { loadBtf, loadProgram, type ProgramToLoad } from "../../../ffi/safe/bpf-program.ts";
import { effectiveCapabilities } from "../../domain/capabilities.ts";
import { sysFailure } from "../../errors/sys-failure.ts";
import type { Feature, FeatureName, KernelFeatures } from "../../platform/kernel.ts";
import { activeSecurityModules, lockdown } from "./security.ts";
import { functionIds, hasKernelBtf, kernelBtf } from "./kernel-btf.ts";
import {
  CALLER,
  CALLER_BTF,
  CALLER_FUNCTIONS,
  NOTHING,
  REPLACEMENT,
  REPLACEMENT_FUNCTIONS,
  SLOT_ID,
} from "./trial-programs.ts";

/** Calls `work` with a descriptor, then closes it. */
function using<T>(fd: number, work: (fd: number) => T): T {
  try {
    return work(fd);
  } finally {
    closeFd(fd);
  }
}

const withProgram = <T>(program: ProgramToLoad, work: (fd: number) => T): T => using(loadProgram(program), work);

/** Exists in every kernel with BPF and is only called by the kernel's own tests (net/bpf/test_run.c, Linux 5.5). */
const TEST_FUNCTION = "bpf_fentry_test1";
/** The function behind LSM hook `file_open`. */
const TEST_HOOK = "bpf_lsm_file_open";

/** The kernel's BTF never changes, so it is read once. */
let knownIds: ReadonlyMap<string, number> | undefined;

function idOf(name: string): number | null {
  knownIds ??= functionIds(kernelBtf(), [TEST_FUNCTION, TEST_HOOK]);
  return knownIds.get(name) ?? null;
}

/** Returns null on success, otherwise the reason. Throws SysError, or an error of node:fs. */
type Trial = () => string | null;

function tryExtension(): null {
  return using(loadBtf(CALLER_BTF), (btf) => {
    const caller = { type: "XDP", instructions: CALLER, functions: { btf, info: CALLER_FUNCTIONS } } as const;
    return withProgram(caller, (programFd) => {
      const functions = { btf, info: REPLACEMENT_FUNCTIONS };
      const attachTo = { programFd, btfId: SLOT_ID };
      return withProgram({ type: "EXT", instructions: REPLACEMENT, functions, attachTo }, (extension) => {
        closeFd(createExtensionLink(extension, null));
        return null;
      });
    });
  });
}

/** Loads a program for a kernel function and passes it to `work`. */
function tryOnFunction(
  program: Pick<ProgramToLoad, "type" | "expectedAttachType">,
  name: string,
  work: (fd: number) => void,
) {
  const btfId = idOf(name);
  if (btfId === null) return `the kernel's BTF has no function "${name}"`;
  withProgram({ ...program, instructions: NOTHING, attachTo: { programFd: null, btfId } }, work);
  return null;
}

const tryTracing = () =>
  tryOnFunction({ type: "TRACING", expectedAttachType: "TRACE_FENTRY" }, TEST_FUNCTION, (program) =>
    closeFd(createTracingLink(program, "TRACE_FENTRY")),
  );

/** Only loaded: attached, it would affect decisions about all processes. */
const tryLsm = () => tryOnFunction({ type: "LSM", expectedAttachType: "LSM_MAC" }, TEST_HOOK, () => {});

function tryActiveLsm(): string | null {
  const modules = activeSecurityModules();
  return modules.includes("bpf") ? null : `not among the active security modules (${modules.join(", ")})`;
}

/** The ifindex of `lo` in every network namespace (LOOPBACK_IFINDEX, include/net/flow.h). */
const LOOPBACK = 1;

function tryTcx(): null {
  queryHook(LOOPBACK, "TCX_INGRESS");
  return null;
}

function tryKprobe(): null {
  closeFd(openKprobe({ place: TEST_FUNCTION, offset: 0, atReturn: false }));
  return null;
}

const tryPerfLink = () =>
  withProgram({ type: "PERF_EVENT", instructions: NOTHING }, (program) =>
    using(openDummyEvent(), (event) => {
      closeFd(createPerfLink(program, event));
      return null;
    }),
  );

const tryBtf = () => (hasKernelBtf() ? null : "it is of an unknown kind");

const tryJit = () =>
  withProgram({ type: "XDP", instructions: NOTHING }, (program) =>
    programInfo(program).jitedSize > 0 ? null : "programs are interpreted",
  );

function tryBpffs(): null {
  openFileSystem("bpf").close();
  return null;
}

const TRIALS = {
  ext: tryExtension,
  tracing: tryTracing,
  lsm: tryLsm,
  activeLsm: tryActiveLsm,
  tcx: tryTcx,
  kprobe: tryKprobe,
  perfLink: tryPerfLink,
  btf: tryBtf,
  jit: tryJit,
  bpffs: tryBpffs,
} as const satisfies Record<FeatureName, Trial>;

/** Tests one feature. Throws LibraryError if no system call can be made. */
export function feature(name: FeatureName): Feature {
  try {
    const reason = TRIALS[name]();
    return { available: reason === null, reason };
  } catch (thrown) {
    const sys = sysFailure(thrown);
    if (sys === null) throw thrown;
    return { available: false, reason: sys.name };
  }
}

/** Tests all features; returns null if no system call can be made. */
export function features(): KernelFeatures | null {
  try {
    return tryAll();
  } catch (thrown) {
    if (thrown instanceof LibraryError) return null;
    throw thrown;
  }
}

const tryAll = (): KernelFeatures => ({
  ext: feature("ext"),
  tracing: feature("tracing"),
  lsm: { load: feature("lsm"), active: feature("activeLsm") },
  tcx: feature("tcx"),
  kprobe: feature("kprobe"),
  perfLink: feature("perfLink"),
  btf: feature("btf"),
  jit: feature("jit"),
  bpffs: feature("bpffs"),
  lockdown: lockdown(),
  capabilities: effectiveCapabilities(readFileSync("/proc/self/status", "utf8")),
});
