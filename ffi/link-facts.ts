/**
 * Fields that only some link types have, as the kernel reports them. Perf events identify themselves since Linux 6.6; their `missed` count and
 * cookie came later, as did the cookie of tracing links. Fields missing from older kernels are 0.
 */
export type LinkFacts =
  /** The ifindex is 0 if the interface no longer exists. */
  | { readonly kind: "xdp" | "tcx"; readonly ifindex: number }
  | {
      readonly kind: "tracing";
      /** The program that an extension extends; for a kernel function, the ID of the BTF object that describes it. */
      readonly targetObjectId: number;
      /** The function's type ID in that BTF. */
      readonly targetBtfId: number;
      readonly cookie: bigint;
    }
  | {
      readonly kind: "kprobe" | "kretprobe";
      readonly functionName: string;
      /** Bytes from the start of the function. */
      readonly offset: number;
      /** 0 if the kernel hides addresses (kernel.kptr_restrict). */
      readonly address: bigint;
      /** How many hits were missed because the program could not run. */
      readonly missed: bigint;
      readonly cookie: bigint;
    }
  | {
      readonly kind: "uprobe" | "uretprobe";
      readonly file: string;
      /** Bytes from the start of the file. */
      readonly offset: number;
      readonly cookie: bigint;
    }
  | { readonly kind: "tracepoint" | "raw_tp"; readonly name: string; readonly cookie: bigint }
  | {
      /** `type` is a PERF_TYPE_* and `config` a PERF_COUNT_*. */
      readonly kind: "event";
      readonly type: number;
      readonly config: bigint;
      readonly cookie: bigint;
    }
  | {
      readonly kind: "kprobe.multi";
      /** How many functions. */
      readonly count: number;
      readonly atReturn: boolean;
      /** How many hits were missed because the program could not run. */
      readonly missed: bigint;
    }
  | {
      readonly kind: "uprobe.multi";
      readonly file: string;
      readonly count: number;
      readonly atReturn: boolean;
    }
  | {
      readonly kind: "iter";
      readonly target: string;
      /** Null for iterators that visit no map's entries. */
      readonly mapId: number | null;
    }
  /** The ID is 0 if the cgroup has been removed. */
  | { readonly kind: "cgroup"; readonly cgroupId: bigint }
  /** The inode is 0 if the namespace no longer exists. */
  | { readonly kind: "netns"; readonly inode: number }
  | {
      readonly kind: "netfilter";
      /** NFPROTO_* and NF_INET_* (include/uapi/linux/netfilter.h). */
      readonly protocol: number;
      readonly hook: number;
      readonly priority: number;
      /** BPF_F_NETFILTER_IP_DEFRAG; 0 on kernels that do not report it. */
      readonly flags: number;
    };
