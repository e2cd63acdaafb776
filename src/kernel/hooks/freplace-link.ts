import { createExtensionLink } from "../../../ffi/safe/bpf-link.ts";
import { btfFunctionIds } from "../../../ffi/safe/btf.ts";
import { programInfo } from "../../../ffi/safe/object-info.ts";
import type { SysFailure } from "../../errors/error.ts";
import type { KernelAttach } from "../../platform/kernel.ts";
import { permissionHint } from "../explain/on-demand.ts";
import { attempt, type Meaning } from "../kernel-failure.ts";
import { withPinned } from "../pin.ts";

export type FreplaceAttach = Extract<KernelAttach, { kind: "freplace" }>;

/** bpf_trampoline_link_prog, bpf_tracing_prog_attach (kernel/bpf). */
function explain(sys: SysFailure): Meaning | null {
  switch (sys.name) {
    case "EPERM":
      return { code: "KERNEL_REFUSED", hint: permissionHint("freplace") };
    case "EBUSY":
      return {
        code: "HOOK_BUSY",
        reason:
          "something else replaces that function or traces it (fentry, fexit), or a program array has the program",
        hint: 'see "bpftool link" for what holds it: the kernel lets one program replace a function, and none beside others',
      };
    case "ENOTSUPP":
    case "EOPNOTSUPP":
      return { code: "KERNEL_UNSUPPORTED", reason: "this kernel has no BPF trampolines on this architecture" };
    default:
      return null;
  }
}

/**
 * Returns the descriptor of the new link. The target is always named, since the kernel forgets the one of the load with the
 * first link (Linux 5.10). Throws HOOK_BUSY, KERNEL_UNSUPPORTED, ATTACH_FAILED, and STATE_CONFLICT if the target has gone.
 */
export function attachFreplace(program: number, { target, fnName }: FreplaceAttach): number {
  const action = `replace function "${fnName}" of program ${target.id}`;
  return withPinned(action, target, (programFd) =>
    attempt({ action, code: "ATTACH_FAILED", explain }, () => {
      const [btfId = 0] = btfFunctionIds(programInfo(programFd).btfId, [fnName]);
      return createExtensionLink(program, { programFd, btfId });
    }),
  );
}
