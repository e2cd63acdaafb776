// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A big object (1.2 MiB) of a hundred programs, of which the benchmark loads one: what counts is reading the rest, with its
 * relocations, BTF and line information. `volatile` keeps the compiler from folding the steps.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, 64);
} sums SEC(".maps");

#define STEP                                                   \
	{                                                      \
		__u32 key = (hash ^ sum) & 63;                 \
		__u64 *value = bpf_map_lookup_elem(&sums, &key); \
		if (value)                                     \
			sum += *value;                         \
	}
#define FOUR_STEPS STEP STEP STEP STEP
#define SIXTEEN_STEPS FOUR_STEPS FOUR_STEPS FOUR_STEPS FOUR_STEPS
#define PROGRAM(n)                                             \
	SEC("tc")                                              \
	int big_##n(struct __sk_buff *skb)                     \
	{                                                      \
		__u32 hash = skb->hash;                        \
		volatile __u64 sum = n;                        \
		SIXTEEN_STEPS SIXTEEN_STEPS SIXTEEN_STEPS      \
		return sum == 1 ? TC_ACT_SHOT : TC_ACT_OK;     \
	}
#define TEN(n)                                                                        \
	PROGRAM(n##0) PROGRAM(n##1) PROGRAM(n##2) PROGRAM(n##3) PROGRAM(n##4)         \
	PROGRAM(n##5) PROGRAM(n##6) PROGRAM(n##7) PROGRAM(n##8) PROGRAM(n##9)

TEN(1) TEN(2) TEN(3) TEN(4) TEN(5) TEN(6) TEN(7) TEN(8) TEN(9) TEN(10)

char _license[] SEC("license") = "GPL";
