import type { TracingDetails } from "../../domain/link.ts";
import { BpfmanError } from "../../errors/error.ts";
import type { AttachTarget } from "../requests/attach-request.ts";
import type { Resolve } from "./target.ts";

type TracingTarget = Extract<AttachTarget, { kind: TracingDetails["kind"] }>;

/** The target of these programs was chosen at load time: the kernel verified them against that function. */
export const resolveTracing: Resolve<TracingTarget> = (host, program, { kind }) => {
  if (kind === "lsm" && !host.kernel.lsmActive()) {
    throw new BpfmanError("KERNEL_UNSUPPORTED", "attach lsm: the BPF LSM is not active in this kernel", {
      hint: 'add "bpf" to lsm= on the kernel command line (CONFIG_LSM has the default list), and reboot',
    });
  }
  const details: TracingDetails = { kind, fnName: program.attachFunction ?? "" };
  return { details, kernelAttach: () => ({ kind }) };
};
