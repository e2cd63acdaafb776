/** Labels in the configuration of a bytecode image: JSON objects as strings, from names to types. */

export const PROGRAMS_LABEL = "io.ebpf.programs";
export const MAPS_LABEL = "io.ebpf.maps";

/** What the labels say, keys sorted. */
export interface BytecodeLabels {
  /** Names of programs to bpfman's types. */
  readonly programs: Readonly<Record<string, string>>;
  /** Names of maps to words of `mapTypeLabel`. */
  readonly maps: Readonly<Record<string, string>>;
}

/** BPF_MAP_TYPE_*, from 1, in the words that bytecode images use. */
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

/** The word for a BPF_MAP_TYPE_* number; `unknown(N)` for one that is newer than this table. */
export const mapTypeLabel = (type: number): string => MAP_TYPE_LABELS[type - 1] ?? `unknown(${type})`;
