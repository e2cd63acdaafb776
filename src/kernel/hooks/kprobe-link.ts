import { openKprobe } from "../../../ffi/safe/perf.ts";
import type { SysFailure } from "../../errors/error.ts";
import type { KernelAttach } from "../../platform/kernel.ts";
import { feature } from "../explain/on-demand.ts";
import { attempt, type Meaning } from "../kernel-failure.ts";
import { explainPerfLink, linkPerfEvent } from "./perf-link.ts";

export type KprobeAttach = Extract<KernelAttach, { kind: "kprobe" | "kretprobe" }>;

const INSIDE_INSTRUCTION: Meaning = {
  code: "ATTACH_FAILED",
  reason: "no instruction begins at that offset",
  hint: "the offset must be the start of an instruction",
};

/** The bytes of each instruction of arm64, whose kernel refuses what is between them as it refuses any other place. */
const ARM64_INSTRUCTION = 4;

function explain(sys: SysFailure, offset: number): Meaning | null {
  if (sys.call === "open") {
    return {
      code: "KERNEL_UNSUPPORTED",
      reason: "this kernel has no kprobes (CONFIG_KPROBE_EVENTS)",
      hint: feature("tracing").available
        ? "fentry and fexit programs work on this kernel"
        : "it has no fentry or fexit either: look for a tracepoint near the function",
    };
  }
  if (sys.call !== "perf_event_open") return explainPerfLink(sys);
  switch (sys.name) {
    case "ENOENT":
      return { code: "SYMBOL_NOT_FOUND", reason: "this kernel has no such function" };
    case "EADDRNOTAVAIL":
      return {
        code: "ATTACH_FAILED",
        reason: "the name matches several functions, or none that can be probed",
        hint: "see /proc/kallsyms for variants such as fn.isra.0 or fn.constprop.0",
      };
    case "EILSEQ":
      return INSIDE_INSTRUCTION;
    case "EINVAL":
      if (process.arch === "arm64" && offset % ARM64_INSTRUCTION !== 0) return INSIDE_INSTRUCTION;
      return {
        code: "ATTACH_FAILED",
        reason: "the kernel does not allow a probe there",
        hint: "see /sys/kernel/debug/kprobes/blacklist; an offset must be the start of an instruction",
      };
    default:
      return null;
  }
}

/** Returns the descriptor of the new link. Throws SYMBOL_NOT_FOUND, KERNEL_UNSUPPORTED, ATTACH_FAILED. */
export function attachKprobe(program: number, { kind, fnName, offset, address }: KprobeAttach): number {
  const at = offset === 0 ? "" : ` at offset ${offset}`;
  const meaning = (sys: SysFailure) => explain(sys, offset);
  return attempt({ action: `attach ${kind} to "${fnName}"${at}`, code: "ATTACH_FAILED", explain: meaning }, () =>
    linkPerfEvent(program, () => openKprobe({ place: address ?? fnName, offset, atReturn: kind === "kretprobe" })),
  );
}
