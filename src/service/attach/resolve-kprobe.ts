import type { KprobeDetails } from "../../domain/link.ts";
import { BpfmanError } from "../../errors/error.ts";
import { didYouMean } from "../../errors/suggest.ts";
import type { AttachTarget } from "../requests/attach-request.ts";
import type { Resolve } from "./target.ts";

type KprobeTarget = Extract<AttachTarget, { kind: "kprobe" }>;

export const resolveKprobe: Resolve<KprobeTarget> = (host, program, target) => {
  const { fnName, offset } = target;
  const kind = program.type === "kretprobe" ? "kretprobe" : "kprobe";
  if (target.containerPid !== null) {
    throw new BpfmanError("NOT_SUPPORTED", "attach kprobe: --container-pid is not currently supported", {
      hint: "a kprobe attaches to the kernel, which all containers share; omit the option",
    });
  }
  if (kind === "kretprobe" && offset !== 0) {
    throw new BpfmanError("INVALID_ATTACH", `attach kretprobe to "${fnName}": an offset is not allowed`, {
      details: { function: fnName, offset },
      hint: "a kretprobe runs when the function returns; omit --offset",
    });
  }
  const found = host.kernel.kernelFunction(fnName);
  if (found === null) {
    throw new BpfmanError("SYMBOL_NOT_FOUND", `no function "${fnName}" in this kernel`, {
      details: { function: fnName },
      hint: didYouMean(fnName, host.kernel.kernelFunctions()) ?? "see /proc/kallsyms; inlined functions are not listed",
    });
  }
  if (found.count > 1) {
    throw new BpfmanError(
      "ATTACH_FAILED",
      `attach ${kind}: this kernel has ${found.count} functions named "${fnName}"`,
      {
        details: { function: fnName, count: found.count },
        hint: "a kprobe goes by the name of its function; attach it to a caller or a callee instead",
      },
    );
  }
  if (found.size !== null && offset >= found.size) {
    throw new BpfmanError(
      "INVALID_ATTACH",
      `offset ${offset} is past the end of "${fnName}", which is ${found.size} bytes long`,
      {
        details: { function: fnName, offset, size: found.size },
        hint: `give an offset below ${found.size}, or none for the start of the function`,
      },
    );
  }
  const details: KprobeDetails = { kind, fnName, offset };
  return { details, kernelAttach: () => details };
};
