// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* How long bpf(2) takes to attach and detach links, most of which is waiting until no packet sees the old state any more. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/* Both formats as in /sys/kernel/tracing/events/syscalls. */
struct enter {
	__u64 common;
	__u64 number;
	__u64 command;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u64);
	__type(value, __u64);
	__uint(max_entries, 64);
} begun SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, 1);
} waited_ns SEC(".maps");

SEC("tracepoint/syscalls/sys_enter_bpf")
int enter(struct enter *ctx)
{
	__u64 thread = bpf_get_current_pid_tgid();
	__u64 now = bpf_ktime_get_ns();

	if (ctx->command == BPF_LINK_CREATE || ctx->command == BPF_LINK_DETACH)
		bpf_map_update_elem(&begun, &thread, &now, BPF_ANY);
	return 0;
}

SEC("tracepoint/syscalls/sys_exit_bpf")
int leave(void *ctx)
{
	__u64 thread = bpf_get_current_pid_tgid();
	__u64 *since = bpf_map_lookup_elem(&begun, &thread);
	__u32 only = 0;
	__u64 *sum = bpf_map_lookup_elem(&waited_ns, &only);

	if (!since || !sum)
		return 0;
	__sync_fetch_and_add(sum, bpf_ktime_get_ns() - *since);
	bpf_map_delete_elem(&begun, &thread);
	return 0;
}

char _license[] SEC("license") = "GPL";
