import { BpfmanError } from "../../errors/error.ts";
import { didYouMean } from "../../errors/suggest.ts";
import type { AttachTarget } from "../requests/attach.ts";
import type { Resolve } from "./target.ts";

type TracepointTarget = Extract<AttachTarget, { kind: "tracepoint" }>;

export const resolveTracepoint: Resolve<TracepointTarget> = (host, _program, target) => {
  const [group, name] = target.tracepoint.split("/") as [string, string];
  if (!host.kernel.tracepointExists(group, name)) {
    const near = didYouMean(target.tracepoint, host.kernel.tracepoints());
    throw new BpfmanError("TRACEPOINT_NOT_FOUND", `no tracepoint "${target.tracepoint}" in this kernel`, {
      details: { tracepoint: target.tracepoint },
      hint: near ?? "see /sys/kernel/tracing/available_events",
    });
  }
  return { details: { kind: "tracepoint", group, name }, kernelAttach: () => ({ kind: "tracepoint", group, name }) };
};
