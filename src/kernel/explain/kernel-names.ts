import { kernelFunctions } from "../hooks/kernel-function.ts";
import { rawTracepoints } from "../hooks/tracepoint-link.ts";

/** Names that programs can be bound to when they are loaded: functions of the kernel, and its tracepoints without their group. */
export function kernelNames(): string[] {
  const functions = [...kernelFunctions()];
  try {
    return [...functions, ...rawTracepoints()];
  } catch {
    // Without tracefs, there are still the functions.
    return functions;
  }
}
