import { attempt } from "../kernel-failure.ts";
import { activeSecurityModules } from "./security.ts";

/** Whether `bpf` is among the active security modules (securityfs, file `lsm`). Throws KERNEL_UNSUPPORTED without securityfs. */
export const lsmActive = (): boolean =>
  attempt({ action: "read the list of security modules", code: "KERNEL_UNSUPPORTED" }, () =>
    activeSecurityModules().includes("bpf"),
  );
