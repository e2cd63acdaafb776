/** Labels in the configuration of a bytecode image: JSON objects as strings that map names to types. */

export const PROGRAMS_LABEL = "io.ebpf.programs";
export const MAPS_LABEL = "io.ebpf.maps";

/** The contents of the labels, with sorted keys. */
export interface BytecodeLabels {
  /** Program names and bpfman's types. */
  readonly programs: Readonly<Record<string, string>>;
  /** Map names and the words of `mapTypeLabel`. */
  readonly maps: Readonly<Record<string, string>>;
}

/** BPF_MAP_TYPE_*, from 1, in the words used in bytecode images. */
const MAP_TYPE_LABELS = [
  "hash",
  "array",
  "prog_array",
  "perf_event_array",
  "per_cpu_hash",
  "per_cpu_array",
  "stack_trace",
  "cgroup_array",
  "lru_hash",
  "lru_per_cpu_hash",
  "lpm_trie",
  "array_of_maps",
  "hash_of_maps",
  "devmap",
  "sockmap",
  "cpumap",
  "xskmap",
  "sockhash",
  "cgroup_storage",
  "reuseport_sockarray",
  "per_cpu_cgroup_storage",
  "queue",
  "stack",
  "sk_storage",
  "devmap_hash",
  "struct_ops",
  "ringbuf",
  "inode_storage",
  "task_storage",
  "bloom_filter",
  "user_ringbuf",
  "cgrp_storage",
  "arena",
] as const;

/** Returns the word for a BPF_MAP_TYPE_* number; `unknown(N)` if it is newer than this table. */
export const mapTypeLabel = (type: number): string => MAP_TYPE_LABELS[type - 1] ?? `unknown(${type})`;
