import { afterEach, beforeEach, expect, test } from "bun:test";
import type { KernelFeatures } from "../../../src/platform/kernel.ts";
import type { Runtime } from "../../../src/platform/runtime.ts";
import { createInvoke } from "../../../src/service/invoke.ts";
import { makeTestBed, type TestBed } from "../../fakes/fake-host.ts";

const YES = { available: true, reason: null };
const NO = { available: false, reason: "EPERM" };
const FEATURES: KernelFeatures = {
  ext: YES,
  tracing: NO,
  lsm: { load: NO, active: YES },
  tcx: YES,
  kprobe: NO,
  perfLink: NO,
  btf: YES,
  jit: YES,
  bpffs: YES,
  lockdown: "integrity",
  capabilities: ["CAP_BPF"],
};
const VERSIONS = { version: "1", commit: "c", bun: "1.4", libbpf: null, kernel: "6.1", arch: "x86_64" };

let bed: TestBed;
let found: KernelFeatures | null;
let trials: number;
beforeEach(() => {
  bed = makeTestBed();
  found = FEATURES;
  trials = 0;
});
afterEach(() => bed.close());

function invoke(request: unknown) {
  const runtime: Runtime = {
    ...bed.runtime,
    openVersions: async () => ({
      versions: () => VERSIONS,
      features: async () => {
        trials++;
        return found;
      },
    }),
  };
  return createInvoke(runtime)("version", request);
}

test("shows the features unless they are not wanted, and then tries nothing", async () => {
  const { perfLink, ...same } = FEATURES;
  expect(await invoke({})).toEqual({ ...VERSIONS, features: { ...same, perf_link: perfLink } });
  expect(await invoke({ features: true })).toEqual(await invoke({}));
  expect(trials).toBe(3);
  expect(await invoke({ features: false })).toEqual({ ...VERSIONS, features: null });
  expect(trials).toBe(3);
});

test("without root, or where nothing can be tried, features are null", async () => {
  found = null;
  expect(await invoke({})).toEqual({ ...VERSIONS, features: null });
});

test("rejects another request", async () => {
  for (const request of [{ features: 1 }, { features: null }, { feature: true }, null]) {
    expect(await invoke(request).catch((cause) => cause.code)).toBe("INVALID_REQUEST");
  }
});
