// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Each run passes one event to user space and counts those for which there was no room. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct event {
	__u64 at;
	__u32 pid;
	__u32 bytes;
	char comm[16];
	_Bool exited;
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1024 * 1024);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, 4);
	__uint(value_size, 4);
} perf SEC(".maps");

__u64 refused;

const struct event *unused __attribute__((unused));

static __always_inline void describe(struct event *event, struct xdp_md *packet)
{
	__builtin_memset(event, 0, sizeof(*event));
	event->at = bpf_ktime_get_ns();
	event->pid = (__u32)event->at;
	event->bytes = packet->data_end - packet->data;
	__builtin_memcpy(event->comm, "benchmark", 10);
}

SEC("xdp")
int to_ring(struct xdp_md *packet)
{
	struct event event;

	describe(&event, packet);
	if (bpf_ringbuf_output(&ring, &event, sizeof(event), 0))
		__sync_fetch_and_add(&refused, 1);
	return XDP_PASS;
}

SEC("xdp")
int to_perf(struct xdp_md *packet)
{
	struct event event;

	describe(&event, packet);
	if (bpf_perf_event_output(packet, &perf, BPF_F_CURRENT_CPU, &event, sizeof(event)))
		__sync_fetch_and_add(&refused, 1);
	return XDP_PASS;
}

char _license[] SEC("license") = "GPL";
