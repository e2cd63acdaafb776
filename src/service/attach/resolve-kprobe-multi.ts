import type { KprobeMultiDetails } from "../../domain/link.ts";
import type { AttachTarget } from "../requests/attach-request.ts";
import { functionsMatching } from "./pattern.ts";
import type { Resolve } from "./target.ts";

type KprobeMultiTarget = Extract<AttachTarget, { kind: "kprobe.multi" }>;

export const resolveKprobeMulti: Resolve<KprobeMultiTarget> = (host, program, { fnName: pattern }) => {
  const kind = program.type === "kretprobe.multi" ? "kretprobe.multi" : "kprobe.multi";
  const all = () => Iterator.from(host.kernel.traceableFunctions()).map((name) => ({ name }));
  const found = functionsMatching(all, { pattern, kind, where: "this kernel" });
  const details: KprobeMultiDetails = { kind, pattern, count: found.length };
  return { details, kernelAttach: () => ({ kind, pattern, functions: found.map(({ name }) => name) }) };
};
