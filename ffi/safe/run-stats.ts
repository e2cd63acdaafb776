import { ENABLE_STATS_ATTR } from "../layout/generated.ts";
import { PROG_INFO } from "../layout/generated-objects.ts";
import { encode } from "../layout/struct.ts";
import { bpf } from "./bpf.ts";
import { objectInfo } from "./object-info.ts";

/** enum bpf_stats_type (include/uapi/linux/bpf.h). */
const BPF_STATS_RUN_TIME = 0;

/**
 * BPF_ENABLE_STATS: has the kernel count the runs of all programs until the descriptor that it returns is closed (Linux
 * 5.8). Throws SysError: EPERM without CAP_SYS_ADMIN, EINVAL on an older kernel.
 */
export const enableRunStats = (): number =>
  bpf("ENABLE_STATS", encode(ENABLE_STATS_ATTR, { type: BPF_STATS_RUN_TIME }));

export interface RunStats {
  /** At most 15 characters. */
  readonly name: string;
  /** BPF_PROG_TYPE_* number. */
  readonly type: number;
  /** 0 if the program has no BTF. */
  readonly btfId: number;
  readonly runs: bigint;
  readonly timeNs: bigint;
}

/** What the kernel has counted of the program behind `fd`, and what it is. Throws SysError. */
export function runStats(fd: number): RunStats {
  const info = objectInfo(fd, PROG_INFO);
  return {
    name: info.text("name"),
    type: info.u32("type"),
    btfId: info.u32("btf_id"),
    runs: info.u64("run_cnt"),
    timeNs: info.u64("run_time_ns"),
  };
}
