/** The object that service tests load: two maps, one of them pinned by name; globals; a program of each kind. */
import { compileBpf } from "./compile.ts";

export const SERVICE_OBJECT = `
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 4); __type(key, __u32); __type(value, __u64); } counters SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 4); __type(key, __u32); __type(value, __u64);
  __uint(pinning, LIBBPF_PIN_BY_NAME); } shared_counts SEC(".maps");
const volatile __u32 LIMIT = 5;
__u64 seen;
static __attribute__((always_inline)) int touch(void) { __u32 key = 0; bpf_map_lookup_elem(&counters, &key);
  return bpf_map_lookup_elem(&shared_counts, &key) != 0; }
SEC("tc") int count(void *ctx) { seen += LIMIT; return touch(); }
SEC("tc") int count_more(void *ctx) { return touch(); }
SEC("tracepoint/syscalls/sys_enter_openat") int on_openat(void *ctx) { return touch(); }
SEC("kprobe/do_unlinkat") int on_unlink(void *ctx) { return touch(); }
SEC("kretprobe/do_unlinkat") int on_unlinked(void *ctx) { return touch(); }
SEC("uprobe") int on_call(void *ctx) { return touch(); }
SEC("uretprobe") int on_return(void *ctx) { return touch(); }
SEC("fentry/do_unlinkat") int on_entry(void *ctx) { return touch(); }
SEC("xdp") int filter(void *ctx) { return 2; }
SEC("cgroup/connect4") int on_connect(void *ctx) { return touch(); }
SEC("custom") int odd(void *ctx) { return 0; }
SEC("socket") int sock(void *ctx) { return 0; }
`;

export const serviceObject = (): Uint8Array => compileBpf(SERVICE_OBJECT);
