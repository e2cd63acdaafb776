// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Counts packets on an interface and system-wide calls of openat(2) in one map.
 *
 * count_packets is for TCX (and TC) hooks, count_openat for the tracepoint syscalls/sys_enter_openat. They share the
 * map, but each can be attached without the other.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

/* Keys of the map. */
enum {
	PACKETS,
	BYTES,
	OPENS,
	COUNTERS,
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, COUNTERS);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

/* Packets to count before count_packets stops counting; 0 means no limit. Set it with --global LIMIT=<hex>. */
const volatile __u32 LIMIT = 0;

static __always_inline void add(__u32 key, __u64 amount)
{
	__u64 *counter = bpf_map_lookup_elem(&counters, &key);

	if (counter)
		__sync_fetch_and_add(counter, amount);
}

SEC("tc")
int count_packets(struct __sk_buff *skb)
{
	__u32 key = PACKETS;
	__u64 *packets = bpf_map_lookup_elem(&counters, &key);

	if (packets && (LIMIT == 0 || *packets < LIMIT)) {
		add(PACKETS, 1);
		add(BYTES, skb->len);
	}
	/* Return no verdict, so that the next program or the stack decides. */
	return TC_ACT_UNSPEC;
}

SEC("tracepoint/syscalls/sys_enter_openat")
int count_openat(void *ctx)
{
	add(OPENS, 1);
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
