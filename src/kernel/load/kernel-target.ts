/** Targets of tracing and LSM programs: functions, tracepoints and iterators that the kernel's BTF describes. */
import { existsSync } from "../../../ffi/safe/file-system.ts";
import type { BpfProgram } from "../../../ffi/safe/bpf-object.ts";
import { BpfmanError, type SysFailure } from "../../errors/error.ts";
import { didYouMean, nearest } from "../../errors/suggest.ts";
import { sysFailure } from "../../errors/sys-failure.ts";
import type { ProgramToLoad } from "../../platform/kernel.ts";
import { functionsNamed, kernelFunctions } from "../hooks/kernel-function.ts";
import { rawTracepoints } from "../hooks/tracepoint-link.ts";

const KERNEL_BTF = "/sys/kernel/btf/vmlinux";
/** Prefix of the kernel function behind an LSM hook. */
const HOOK_PREFIX = "bpf_lsm_";

/**
 * Sets the function that the program is verified against and attached to; for an LSM program, the hook. It must be in
 * the BTF of the kernel or of a module. Throws SYMBOL_NOT_FOUND, KERNEL_UNSUPPORTED, SysError.
 */
export function setKernelTarget(program: BpfProgram, type: ProgramToLoad["type"], target: string): void {
  const sys = refusal(program, target);
  if (sys === null) return;
  if (!existsSync(KERNEL_BTF)) {
    throw new BpfmanError("KERNEL_UNSUPPORTED", `load program "${program.name}": this kernel provides no BTF`, {
      hint: "fentry, fexit, fmod_ret, tp_btf, iter and lsm need a kernel built with CONFIG_DEBUG_INFO_BTF",
      sys,
    });
  }
  const { reason, hint } = (NOTHING_THERE[type] ?? noFunction)(program, target);
  throw new BpfmanError("SYMBOL_NOT_FOUND", `load program "${program.name}": ${reason}`, {
    details: { program: program.name, function: target },
    hint,
    sys,
  });
}

/** Returns null if BTF has the function; libbpf then stores it as the target. Throws SysError for other failures. */
function refusal(program: BpfProgram, target: string): SysFailure | null {
  try {
    program.setAttachTarget({ programFd: null, function: target });
    return null;
  } catch (thrown) {
    const sys = sysFailure(thrown);
    if (sys?.name !== "ENOENT" && sys?.name !== "ESRCH") throw thrown;
    return sys;
  }
}

/** How it is said of programs that are not for functions of the kernel. */
const NOTHING_THERE: Partial<Record<ProgramToLoad["type"], (program: BpfProgram, target: string) => Explanation>> = {
  lsm: noHook,
  tp_btf: noTracepoint,
  iter: noIterator,
};

interface Explanation {
  readonly reason: string;
  readonly hint: string;
}

function noFunction(program: BpfProgram, target: string): Explanation {
  if (functionsNamed(target).length > 0) {
    return {
      reason: `the kernel's BTF does not describe function "${target}"`,
      hint: "BTF omits functions written in assembly or altered by the compiler; a kprobe can attach to them",
    };
  }
  const described = nearest(target, kernelFunctions(), 10).filter((name) => refusal(program, name) === null);
  return {
    reason: `no function "${target}" in this kernel`,
    hint: didYouMean(target, described) ?? `see: bpftool btf dump file ${KERNEL_BTF}; inlined functions are not listed`,
  };
}

function noTracepoint(program: BpfProgram, target: string): Explanation {
  const described = namesOf(rawTracepoints).filter((name) => nearest(target, [name]).length > 0);
  return {
    reason: `no tracepoint "${target}" in this kernel`,
    hint:
      didYouMean(
        target,
        described.filter((name) => refusal(program, name) === null),
      ) ??
      "see /sys/kernel/tracing/available_events: a tracepoint is named here without its category, and system calls share sys_enter and sys_exit",
  };
}

/** Without tracefs there are no names to suggest. */
function namesOf(list: () => string[]): string[] {
  try {
    return list();
  } catch {
    return [];
  }
}

/** What kernels up to 7.0 visit (DEFINE_BPF_ITER_FUNC); each has some of them. */
const ITERATORS =
  "bpf_link bpf_map bpf_map_elem bpf_prog bpf_sk_storage_map cgroup dmabuf ipv6_route kmem_cache ksym netlink sockmap task task_file task_vma tcp udp unix".split(
    " ",
  );

function noIterator(program: BpfProgram, target: string): Explanation {
  const there = ITERATORS.filter((name) => refusal(program, name) === null);
  return {
    reason: `this kernel has no iterator "${target}"`,
    hint: didYouMean(target, there) ?? `it has ${there.join(", ")}`,
  };
}

function noHook(_program: BpfProgram, target: string): Explanation {
  const hooks = kernelFunctions()
    .filter((name) => name.startsWith(HOOK_PREFIX))
    .map((name) => name.slice(HOOK_PREFIX.length));
  // Hooks also appear under these names.
  const hook = target.replace(/^(bpf_lsm|security)_/, "");
  return {
    reason: `no LSM hook "${target}" in this kernel`,
    hint: didYouMean(hook, hooks) ?? `hooks are the names after ${HOOK_PREFIX} in /proc/kallsyms`,
  };
}
