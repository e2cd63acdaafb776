// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Fifty programs that take the verifier as long as ordinary ones: each follows the headers of a packet in a loop. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char _license[] SEC("license") = "Dual BSD/GPL";

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, __u64);
} seen SEC(".maps");

static __always_inline int follow(struct __sk_buff *skb, int salt)
{
	__u8 *at = (void *)(long)skb->data;
	__u8 *end = (void *)(long)skb->data_end;
	__u32 sum = salt;

	for (int i = 0; i < 60; i++) {
		if (at + 8 > end)
			break;
		sum += at[0];
		if (at[1] & 1)
			sum ^= at[2];
		if (at[3] > 7)
			sum += bpf_get_prandom_u32();
		__u64 *count = bpf_map_lookup_elem(&seen, &sum);
		if (count)
			*count += 1;
		at += 8;
	}
	return sum & 1;
}

#define PROGRAM(n) \
	SEC("tc") int follow_##n(struct __sk_buff *skb) { return follow(skb, n); }
#define FIVE(a) PROGRAM(a##0) PROGRAM(a##1) PROGRAM(a##2) PROGRAM(a##3) PROGRAM(a##4)
#define TEN(a) FIVE(a) PROGRAM(a##5) PROGRAM(a##6) PROGRAM(a##7) PROGRAM(a##8) PROGRAM(a##9)

TEN(1) TEN(2) TEN(3) TEN(4) TEN(5)
