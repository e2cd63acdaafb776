// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Programs for the benchmarks. They do almost nothing, so that the cost of everything around them shows. */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#define XDP_MEMBER(n)                                \
	SEC("xdp")                                   \
	int xdp_##n(struct xdp_md *ctx)              \
	{                                            \
		return ctx->rx_queue_index > 1000 + n ? XDP_DROP : XDP_PASS; \
	}
#define TC_MEMBER(n)                                 \
	SEC("tc")                                    \
	int tc_##n(struct __sk_buff *skb)            \
	{                                            \
		return skb->queue_mapping > 1000 + n ? TC_ACT_SHOT : TC_ACT_OK; \
	}
#define TEN(member, n)                                                            \
	member(n##0) member(n##1) member(n##2) member(n##3) member(n##4)          \
	member(n##5) member(n##6) member(n##7) member(n##8) member(n##9)

TEN(XDP_MEMBER, 1)
/* Chains use ten of them; listings use all, to have many programs loaded. */
TEN(TC_MEMBER, 1)
TEN(TC_MEMBER, 2)
TEN(TC_MEMBER, 3)
TEN(TC_MEMBER, 4)
TEN(TC_MEMBER, 5)

char _license[] SEC("license") = "GPL";
