/** Kernel features, detected without the code under test, for tests that cannot run everywhere. */
import { test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { release, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { buildBpf } from "../../scripts/build-bpf.ts";
import { sh } from "./kernel-lab.ts";

/**
 * `module` is MODULE_FUNCTION, and that a probe can be put there. `mdwe` is prctl(PR_SET_MDWE), which forbids a process to
 * make memory executable.
 */
export type KernelFeature = "kprobe" | "tracing" | "module" | "lsm" | "mdwe";

/** A function that the kernel calls once for each network interface of type dummy that is added, if it is in a module. */
export const MODULE_FUNCTION = { module: "dummy", name: "dummy_dev_init" } as const;

/** Whether this is a kernel of the virtual machine: they have all of it but what is too new for them. */
const inMachine = process.env.BPFMAN_TEST_KERNEL !== undefined;

const missing = new Map<KernelFeature, string | null>();

/** Why the kernel lacks the feature; null when it has it. */
export function missingFeature(feature: KernelFeature): string | null {
  if (inMachine && feature !== "mdwe") return null;
  const known = missing.get(feature);
  if (known !== undefined) return known;
  const reason = LOOK[feature]();
  missing.set(feature, reason);
  return reason;
}

/** A test that needs a feature; where that is missing, its name says why it was skipped. */
export function featureTest(feature: KernelFeature, name: string, run: () => void | Promise<void>): void {
  const reason = missingFeature(feature);
  if (reason === null) test(name, run);
  else test.skip(`${name} (skipped: ${reason})`, run);
}

/** A test of what is said where a feature is missing. */
export function withoutFeatureTest(feature: KernelFeature, name: string, run: () => void | Promise<void>): void {
  const reason = missingFeature(feature);
  if (reason !== null) test(name, run);
  else test.skip(`${name} (skipped: Linux ${release()} has ${feature})`, run);
}

const LOOK: Readonly<Record<KernelFeature, () => string | null>> = {
  kprobe() {
    if (existsSync("/sys/bus/event_source/devices/kprobe")) return null;
    const compiledIn = / T register_kprobe$/m.test(readFileSync("/proc/kallsyms", "utf8"));
    return compiledIn ? null : `Linux ${release()} was built without kprobes`;
  },
  tracing: () => refusedByKernel("trial_tracing"),
  module() {
    const { module, name } = MODULE_FUNCTION;
    const loaded = readFileSync("/proc/kallsyms", "utf8").includes(` ${name}\t[${module}]`);
    return (
      missingFeature("kprobe") ?? missingFeature("tracing") ?? (loaded ? null : `module "${module}" is not loaded`)
    );
  },
  lsm() {
    const modules = "/sys/kernel/security/lsm";
    if (existsSync(modules) && !readFileSync(modules, "utf8").trim().split(",").includes("bpf")) {
      return "the BPF LSM is not active";
    }
    return refusedByKernel("trial_lsm");
  },
  mdwe() {
    const [major = 0, minor = 0] = release().split(".").map(Number);
    return major > 6 || (major === 6 && minor >= 3) ? null : `Linux ${release()} is older than 6.3`;
  },
};

/** Lets bpftool load a program. Only a refusal by policy counts as missing: anything else is for the tests to find. */
function refusedByKernel(trial: string): string | null {
  buildBpf();
  const directory = mkdtempSync(join(tmpdir(), "bpfman-trial-"));
  try {
    sh("mount", "-t", "bpf", "bpf", directory);
    try {
      const object = resolve(import.meta.dir, `../../dist/bpf/fixtures/${trial}.bpf.o`);
      const result = Bun.spawnSync(["bpftool", "prog", "load", object, join(directory, "trial")]);
      const refused = /Operation not permitted|-EPERM|\(-1\)/.test(result.stderr.toString());
      return result.exitCode !== 0 && refused ? `Linux ${release()} here refuses such programs with EPERM` : null;
    } finally {
      sh("umount", directory);
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
}
