import { openRawTracepoint } from "../../../ffi/safe/bpf-link.ts";
import type { SysFailure } from "../../errors/error.ts";
import { didYouMean } from "../../errors/suggest.ts";
import type { KernelAttach } from "../../platform/kernel.ts";
import { attempt, type Meaning } from "../kernel-failure.ts";
import { rawTracepoints } from "./tracepoint-link.ts";

export type RawTpAttach = Extract<KernelAttach, { kind: "raw_tp" }>;

const SYSTEM_CALL = /^(sys_enter|sys_exit)_/;

function nearNames(name: string): string {
  const [call] = SYSTEM_CALL.exec(name) ?? [];
  if (call !== undefined) return `all system calls share the raw tracepoint "${call.slice(0, -1)}"`;
  const all = "see /sys/kernel/tracing/available_events for most of them, each behind its category";
  try {
    return didYouMean(name, rawTracepoints()) ?? all;
  } catch {
    // Without tracefs there are no names to suggest.
    return all;
  }
}

function explain(sys: SysFailure, name: string): Meaning | null {
  switch (sys.name) {
    case "ENOENT":
      return {
        code: "TRACEPOINT_NOT_FOUND",
        reason: "this kernel has no such tracepoint",
        hint: nearNames(name),
        details: { tracepoint: name },
      };
    case "EEXIST":
      return {
        code: "ALREADY_ATTACHED",
        reason: "the program is already attached there",
        hint: "before Linux 6.10, a raw tracepoint takes each program once: load it again to attach it twice",
      };
    case "EINVAL":
      return {
        code: "ATTACH_FAILED",
        reason: "the program reads more arguments than the tracepoint has, or writes where it cannot be written",
      };
    default:
      return null;
  }
}

/** Returns the descriptor of the new link. Throws TRACEPOINT_NOT_FOUND, ALREADY_ATTACHED, ATTACH_FAILED. */
export const attachRawTp = (program: number, { name }: RawTpAttach): number =>
  attempt(
    { action: `attach to raw tracepoint "${name}"`, code: "ATTACH_FAILED", explain: (sys) => explain(sys, name) },
    () => openRawTracepoint(program, name),
  );
