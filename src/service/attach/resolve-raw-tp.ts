import { BpfmanError } from "../../errors/error.ts";
import { questionOf } from "../../errors/suggest.ts";
import type { AttachTarget } from "../requests/attach-request.ts";
import type { Resolve } from "./target.ts";

type RawTpTarget = Extract<AttachTarget, { kind: "raw_tp" }>;

/** The kernel says whether there is such a tracepoint: no list has those that modules keep to themselves. */
export const resolveRawTp: Resolve<RawTpTarget> = (_host, _program, { tracepoint }) => {
  const [name = "", ...rest] = tracepoint.split("/").toReversed();
  if (rest.length > 0) {
    throw new BpfmanError(
      "INVALID_REQUEST",
      `invalid raw tracepoint "${tracepoint}": must be a name without category`,
      {
        details: { field: "attach.tracepoint", received: tracepoint },
        hint: questionOf(name === "" ? [] : [name]) ?? "as in sched_switch",
      },
    );
  }
  return { details: { kind: "raw_tp", name }, kernelAttach: () => ({ kind: "raw_tp", name }) };
};
