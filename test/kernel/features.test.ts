/** Compares the results of feature probes with what bpftool, /proc, /sys and strace say about this kernel. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import type { VersionAnswer } from "../../src/domain/answer.ts";
import type { BpfmanError } from "../../src/errors/error.ts";
import { permissionHint } from "../../src/kernel/explain/evidence.ts";
import { features } from "../../src/kernel/explain/features.ts";
import { openKernel } from "../../src/kernel/open-kernel.ts";
import { functionIds, kernelBtf } from "../../src/kernel/explain/kernel-btf.ts";
import { attachKprobe } from "../../src/kernel/hooks/kprobe-link.ts";
import { readObject } from "../../src/object/object-file.ts";
import type { Feature, KernelFeatures } from "../../src/platform/kernel.ts";
import { featureTest, withoutFeatureTest } from "../labs/kernel-feature.ts";
import { bpfDescriptors, bpftool, inKernel, sh, until } from "../labs/kernel-lab.ts";
import { temporaryDirectory } from "../labs/temporary-directory.ts";

const ROOT = resolve(import.meta.dir, "../..");
const directory = temporaryDirectory();

/** Name of the kernel in the virtual machine; undefined on the machine's own. */
const KNOWN_KERNEL = process.env.BPFMAN_TEST_KERNEL;

/** What does not depend on the kernel is not tested once more in the virtual machine, where a process takes seconds. */
const anywhere = test.skipIf(KNOWN_KERNEL !== undefined);

/** Trial programs have no names, which those of other tests do. */
const unnamed = (): number[] =>
  bpftool("prog", "show").flatMap((program: { id: number; name?: string }) => (program.name ? [] : [program.id]));

let before: { readonly open: string[]; readonly programs: number[]; readonly mounts: string };
beforeEach(() => {
  before = { open: bpfDescriptors(), programs: unnamed(), mounts: readFileSync("/proc/self/mountinfo", "utf8") };
});
afterEach(async () => {
  expect(bpfDescriptors()).toEqual(before.open);
  // The kernel takes programs away a moment after their last descriptor. A link that was left would hold its program.
  const since = unnamed().filter((id) => !before.programs.includes(id));
  // Those of others, who try features as well, go as fast.
  await until(() => since.every((id) => !inKernel("prog", id)));
});

function found(): KernelFeatures {
  const answer = features();
  if (answer === null) throw new Error("no system call can be made here");
  return answer;
}

const YES: Feature = { available: true, reason: null };

describe("features", () => {
  test("agree with what bpftool finds", () => {
    const { ext, tracing, lsm, jit } = found();
    const probed = bpftool("feature", "probe", "kernel");
    expect({ ext: ext.available, tracing: tracing.available, lsm: lsm.load.available }).toEqual({
      ext: probed.program_types.have_ext_prog_type,
      tracing: probed.program_types.have_tracing_prog_type,
      lsm: probed.program_types.have_lsm_prog_type,
    });
    const { bpf_jit_enable: enabled, CONFIG_BPF_JIT_ALWAYS_ON: always } = probed.system_config;
    expect(jit.available).toBe(enabled > 0 || always === "y");
  });

  test("agree with /sys and with the kernel's symbols", () => {
    const { btf, kprobe, tcx, perfLink, bpffs } = found();
    const symbols = readFileSync("/proc/kallsyms", "utf8");
    expect(btf.available).toBe(existsSync("/sys/kernel/btf/vmlinux"));
    expect(kprobe.available).toBe(existsSync("/sys/bus/event_source/devices/kprobe"));
    expect(tcx.available).toBe(/ tcx_prog_query$/m.test(symbols));
    expect(perfLink.available).toBe(/ bpf_perf_link_/.test(symbols));
    expect(bpffs.available).toBe(/\tbpf$/m.test(readFileSync("/proc/filesystems", "utf8")));
  });

  test("agree with securityfs, mounted the usual way", () => {
    const show = "mount -t securityfs none /sys/kernel/security 2>/dev/null; cd /sys/kernel/security";
    const [modules = "", state = ""] = sh("unshare", "--mount", "sh", "-c", `${show}; cat lsm; echo; cat lockdown || :`)
      .split("\n")
      .filter((line) => line !== "");
    const { lsm, lockdown } = found();
    expect(lsm.active.available).toBe(modules.split(",").includes("bpf"));
    if (!lsm.active.available) expect(lsm.active.reason).toContain(modules.replaceAll(",", ", "));
    if (lockdown === null) expect(state).not.toContain("[");
    else expect(state).toContain(`[${lockdown}]`);
  });

  test.skipIf(KNOWN_KERNEL === undefined)(
    `are all there on a kernel with everything, but TCX before 6.6${KNOWN_KERNEL === undefined ? " (skipped: not that kernel)" : ""}`,
    () => {
      expect(found()).toEqual({
        ext: YES,
        tracing: YES,
        lsm: { load: YES, active: YES },
        tcx: KNOWN_KERNEL === "6.1" ? { available: false, reason: "EINVAL" } : YES,
        kprobe: YES,
        perfLink: YES,
        btf: YES,
        jit: YES,
        bpffs: YES,
        lockdown: "none",
        capabilities: ["CAP_NET_ADMIN", "CAP_SYS_ADMIN", "CAP_SYS_RESOURCE", "CAP_PERFMON", "CAP_BPF"],
      });
    },
  );

  test("a reason is given exactly for what is missing", () => {
    const { lockdown: _lockdown, capabilities: _capabilities, lsm, ...others } = found();
    for (const { available, reason } of [...Object.values(others), lsm.load, lsm.active]) {
      expect(available).toBe(reason === null);
    }
  });

  test("nothing is mounted for them", () => {
    found();
    expect(readFileSync("/proc/self/mountinfo", "utf8")).toBe(before.mounts);
  });
});

anywhere("functions of the kernel have the ids that bpftool gives them", () => {
  const names = ["bpf_fentry_test1", "bpf_lsm_file_open", "vfs_read"];
  const dump = sh("bpftool", "btf", "dump", "file", "/sys/kernel/btf/vmlinux");
  const expected = names.map((name) => Number(new RegExp(`^\\[(\\d+)\\] FUNC '${name}' `, "m").exec(dump)?.[1]));
  const ids = functionIds(kernelBtf(), names);
  expect(names.map((name) => ids.get(name))).toEqual(expected);
});

/** Runs a script of TypeScript without these capabilities, and answers what it prints. */
function without(capabilities: readonly string[], script: string) {
  const file = directory.path("script.ts");
  writeFileSync(file, script);
  const bounds = capabilities.map((name) => `-${name}`).join(",");
  return JSON.parse(sh("setpriv", "--bounding-set", bounds, process.execPath, file));
}

describe("without capabilities", () => {
  const BPF = ["bpf", "perfmon", "sys_admin", "net_admin"];

  test("the kernel says EPERM, and the capabilities are missing", () => {
    const script = `import { features } from "${ROOT}/src/kernel/explain/features.ts"; console.log(JSON.stringify(features()));`;
    const answer: KernelFeatures = without(BPF, script);
    const refused = { available: false, reason: "EPERM" };
    expect(answer).toMatchObject({ ext: refused, tracing: refused, jit: refused, perfLink: refused });
    expect(answer.btf).toEqual(found().btf);
    const kept = found().capabilities.filter((name) => !BPF.includes(name.replace("CAP_", "").toLowerCase()));
    expect(answer.capabilities).toEqual(kept);
  });

  anywhere("a hint names those that the program needs", () => {
    const script = `import { permissionHint } from "${ROOT}/src/kernel/explain/evidence.ts";
      console.log(JSON.stringify([permissionHint(null), permissionHint("fentry"), permissionHint("tcx")]));`;
    const [general, fentry, tcx] = without(BPF, script);
    expect(general).toContain("lacks CAP_BPF and CAP_PERFMON:");
    expect(fentry).toContain("lacks CAP_BPF and CAP_PERFMON:");
    expect(tcx).toContain("lacks CAP_BPF and CAP_NET_ADMIN:");
    const [, untraced, network] = without(["sys_admin", "perfmon"], script);
    expect(untraced).toContain("lacks CAP_PERFMON:");
    expect(network).not.toContain("lacks");
    expect(without(["bpf", "perfmon", "net_admin"], script).join("\n")).not.toContain("lacks");
  });
});

describe("hints", () => {
  /** The error of loading a program that any kernel with such programs takes. */
  async function refusal(type: "fentry" | "lsm", attachFunction: string): Promise<BpfmanError> {
    const fixture = type === "lsm" ? "trial_lsm" : "trial_tracing";
    const bytes = readFileSync(`${ROOT}/dist/bpf/fixtures/${fixture}.bpf.o`);
    const [name = ""] = readObject(bytes).programs.map((program) => program.name);
    const programs = [{ name, type, attachFunction }];
    const load = openKernel().load({
      bytes,
      name,
      programs,
      globals: [],
      reuse: new Map(),
      alongside: [],
    });
    return load.then(
      (object) => {
        object.close();
        throw new Error(`the ${type} program was loaded`);
      },
      (error: BpfmanError) => error,
    );
  }

  withoutFeatureTest("tracing", "of a refused fentry program: the kind is refused, and the lockdown", async () => {
    const { code, hint } = await refusal("fentry", "bpf_fentry_test1");
    expect(code).toBe("KERNEL_REFUSED");
    expect(hint).toContain("forbids all TRACING programs (fentry, fexit, fmod_ret), even an empty one");
    expect(hint).toContain(found().lockdown ?? "not locked down");
  });

  withoutFeatureTest("lsm", "of a refused LSM program: the kind is refused", async () => {
    const { code, hint } = await refusal("lsm", "file_open");
    expect(code).toBe("KERNEL_REFUSED");
    expect(hint).toContain("forbids all LSM programs");
  });

  withoutFeatureTest("kprobe", "of a kprobe: whether fentry would do", () => {
    let failure: unknown;
    try {
      attachKprobe(-1, { kind: "kprobe", fnName: "vfs_read", offset: 0, address: null });
    } catch (thrown) {
      failure = thrown;
    }
    const hint = found().tracing.available ? "fentry and fexit programs work" : "it has no fentry or fexit either";
    expect(failure).toMatchObject({ code: "KERNEL_UNSUPPORTED", hint: expect.stringContaining(hint) });
  });

  featureTest("tracing", "blame no policy for a kind that the kernel takes", () => {
    expect(permissionHint("fentry")).not.toContain("forbids all");
  });
});

/** `bpfman version` with the words given, and its calls of the kernel as strace sees them. */
function version(...words: readonly string[]): { readonly out: string; readonly calls: readonly string[] } {
  const trace = directory.path("trace");
  const command = [process.execPath, `${ROOT}/src/main.ts`, "version", ...words];
  const out = sh("strace", "-f", "--seccomp-bpf", "-qq", "-o", trace, "-e", "trace=bpf,perf_event_open", ...command);
  const calls = readFileSync(trace, "utf8").split("\n");
  return { out, calls: calls.filter((line) => line !== "") };
}

describe("bpfman version", () => {
  anywhere("tries nothing for text", () => {
    const { out, calls } = version();
    expect(out).toMatch(new RegExp(`^bpfman .*\nbun .*\nlibbpf \\d+\\.\\d+\nlinux \\S+ ${sh("uname", "-m")}$`));
    expect(calls).toEqual([]);
  });

  test("attaches what it says can be attached, for JSON", () => {
    const { out, calls } = version("-o", "json");
    const answer: VersionAnswer = JSON.parse(out);
    expect(answer.arch).toBe(sh("uname", "-m").trim());
    const there = answer.features;
    if (there === null) throw new Error("no features");
    const { perfLink, ...same } = found();
    expect(there).toEqual({ ...same, perf_link: perfLink });
    const count = (call: RegExp) => calls.filter((line) => call.test(line) && / = \d+$/.test(line)).length;
    const yes = (...which: Feature[]) => which.filter(({ available }) => available).length;
    expect(count(/BPF_LINK_CREATE/)).toBe(yes(there.ext, there.tracing, there.perf_link));
    expect(count(/perf_event_open/)).toBe(yes(there.kprobe, there.perf_link));
    expect(count(/BPF_PROG_QUERY|bpf\(0x10,/)).toBe(yes(there.tcx));
  });

  anywhere("without root there are no features, and no error", () => {
    // A copy that everybody can reach, wherever the sources are.
    const copy = directory.path("bpfman");
    sh("cp", resolve(ROOT, "dist/bpfman"), copy);
    sh("chmod", "-R", "a+rX", directory.path());
    const nobody = ["setpriv", "--reuid=65534", "--clear-groups"];
    const answer: VersionAnswer = JSON.parse(sh(...nobody, copy, "version", "-o", "json"));
    expect(answer).toMatchObject({ features: null, libbpf: expect.stringMatching(/^\d/) });
  });
});
