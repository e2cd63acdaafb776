import { BpfmanError } from "../../errors/error.ts";
import { didYouMean, nearest, questionOf } from "../../errors/suggest.ts";
import type { Host } from "../../platform/host.ts";
import type { AttachTarget } from "../requests/attach-request.ts";
import type { Resolve } from "./target.ts";

type TracepointTarget = Extract<AttachTarget, { kind: "tracepoint" }>;

/** Most users who get this wrong give only the name, from which the category can be found. */
function notInTwoParts(host: Host, tracepoint: string): BpfmanError {
  const names = host.kernel.tracepoints();
  const alone = new Map(names.map((name) => [name.slice(name.indexOf("/") + 1), name]));
  const near = /^\w+$/.test(tracepoint)
    ? nearest(tracepoint, alone.keys()).map((name) => alone.get(name) as string)
    : nearest(tracepoint, names);
  const hint = questionOf(near);
  return new BpfmanError(
    "INVALID_REQUEST",
    `invalid tracepoint "${tracepoint}": must be CATEGORY/NAME, as in sched/sched_switch`,
    { details: { field: "attach.tracepoint", received: tracepoint }, ...(hint === null ? {} : { hint }) },
  );
}

export const resolveTracepoint: Resolve<TracepointTarget> = (host, _program, target) => {
  const [group = "", name, ...rest] = target.tracepoint.split("/");
  if (group === "" || !name || rest.length > 0) throw notInTwoParts(host, target.tracepoint);
  if (!host.kernel.tracepointExists(group, name)) {
    const near = didYouMean(target.tracepoint, host.kernel.tracepoints());
    throw new BpfmanError("TRACEPOINT_NOT_FOUND", `no tracepoint "${target.tracepoint}" in this kernel`, {
      details: { tracepoint: target.tracepoint },
      hint: near ?? "see /sys/kernel/tracing/available_events",
    });
  }
  return { details: { kind: "tracepoint", group, name }, kernelAttach: () => ({ kind: "tracepoint", group, name }) };
};
