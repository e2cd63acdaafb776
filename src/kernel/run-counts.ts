/** The kernel's own counts of the runs of programs. */
import { closeFd } from "../../ffi/safe/libc.ts";
import { enableRunStats, runStats } from "../../ffi/safe/run-stats.ts";
import { BpfmanError } from "../errors/error.ts";
import type { ProgramRuns } from "../platform/kernel.ts";
import { attempt } from "./kernel-failure.ts";

/** Has the kernel count until it is closed. Throws PERMISSION_DENIED, KERNEL_UNSUPPORTED. */
export function countRuns(): { close(): void } {
  try {
    const fd = attempt({ action: "count runs", code: "KERNEL_CALL_FAILED" }, enableRunStats);
    return { close: () => closeFd(fd) };
  } catch (thrown) {
    const { sys } = thrown as BpfmanError;
    const cause = thrown;
    if (sys?.name === "EPERM") {
      const message = "to count runs, and to see the programs of others, takes CAP_SYS_ADMIN";
      throw new BpfmanError("PERMISSION_DENIED", message, { sys, cause });
    }
    if (sys?.name === "EINVAL")
      throw new BpfmanError("KERNEL_UNSUPPORTED", "to count runs takes Linux 5.8", { sys, cause });
    throw thrown;
  }
}

/** What it has counted of the program behind `fd`. */
export function readRuns(fd: number): ProgramRuns {
  const { runs, timeNs, ...program } = runStats(fd);
  return { ...program, runs: Number(runs), timeNs: Number(timeNs) };
}
