import { attachTo } from "./fields.ts";

const ATTACH = "Attach it to the function or hook named when it was loaded";

/** The function or LSM hook was chosen at load time, so there is no target to specify. */
const tracing = (kind: "fentry" | "fexit" | "lsm") =>
  attachTo(kind, {
    target: {},
    classic: { [ATTACH]: `bpfman attach 63178 ${kind}` },
    noun: { [ATTACH]: `bpfman link attach ${kind} 63178` },
  });

export const attachFentry = tracing("fentry");
export const attachFexit = tracing("fexit");
export const attachLsm = tracing("lsm");
