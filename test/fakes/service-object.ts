/** The object that the service tests load: two maps, one pinned by name, globals, and one program of each kind. */
import { compileBpf } from "./compile.ts";

export const SERVICE_OBJECT = `
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 4); __type(key, __u32); __type(value, __u64); } counters SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 4); __type(key, __u32); __type(value, __u64);
  __uint(pinning, LIBBPF_PIN_BY_NAME); } shared_counts SEC(".maps");
const volatile __u32 LIMIT = 5;
__u64 seen;
SEC("tc") int count(void *ctx) { seen += LIMIT; return 0; }
SEC("tc") int count_more(void *ctx) { return 0; }
SEC("tracepoint/syscalls/sys_enter_openat") int on_openat(void *ctx) { return 0; }
SEC("kprobe/do_unlinkat") int on_unlink(void *ctx) { return 0; }
SEC("kretprobe/do_unlinkat") int on_unlinked(void *ctx) { return 0; }
SEC("uprobe") int on_call(void *ctx) { return 0; }
SEC("uretprobe") int on_return(void *ctx) { return 0; }
SEC("fentry/do_unlinkat") int on_entry(void *ctx) { return 0; }
SEC("xdp") int filter(void *ctx) { return 2; }
SEC("custom") int odd(void *ctx) { return 0; }
SEC("socket") int sock(void *ctx) { return 0; }
`;

export const serviceObject = (): Uint8Array => compileBpf(SERVICE_OBJECT);
