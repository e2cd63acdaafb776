import type { PerfEventDetails } from "../../domain/link.ts";
import { PERF_EVENTS, perfEventNamed } from "../../domain/perf-events.ts";
import { BpfmanError } from "../../errors/error.ts";
import { didYouMean } from "../../errors/suggest.ts";
import type { AttachTarget } from "../requests/attach-request.ts";
import type { Resolve } from "./target.ts";

type PerfEventTarget = Extract<AttachTarget, { kind: "perf_event" }>;

const invalid = (message: string, hint: string): BpfmanError =>
  new BpfmanError("INVALID_ATTACH", `attach perf_event: ${message}`, { hint });

export const resolvePerfEvent: Resolve<PerfEventTarget> = (host, _program, target) => {
  const { cpu, pid, period, frequency } = target;
  const event = perfEventNamed(target.event);
  if (event === null) {
    throw new BpfmanError("EVENT_NOT_FOUND", `no event "${target.event}"`, {
      details: { event: target.event, events: PERF_EVENTS },
      hint: didYouMean(target.event, PERF_EVENTS) ?? `events are ${PERF_EVENTS.join(", ")}`,
    });
  }
  if (cpu === null && pid === null) {
    throw invalid("an event is counted on a processor or for a process", "give --cpu, --pid, or both");
  }
  if ((period === null) === (frequency === null)) {
    throw invalid(
      "either every so many events or so many times per second",
      "give --period to run the program after so many events, or --frequency to run it so often per second",
    );
  }
  if (pid !== null && !host.files.processExists(pid)) {
    throw new BpfmanError("PROCESS_NOT_FOUND", `no process has pid ${pid}`, { details: { pid } });
  }
  const details: PerfEventDetails = { kind: "perf_event", event, cpu, pid, period, frequency };
  return { details, kernelAttach: () => details };
};
