// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Runs up to ten TC programs in sequence as a single clsact filter. Each slot is a function that is replaced by a
 * program of type BPF_PROG_TYPE_EXT; CONFIG says how many slots are used and after which verdicts the chain continues.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#define SLOTS 10
/* Returned by a slot that is not replaced: bit 31 of chain_call_actions. */
#define EMPTY_SLOT 30

struct tc_dispatcher_config {
	__u8 num_progs_enabled;
	__u8 padding[3];
	/* Bit n + 1 is TC action n, so that TC_ACT_UNSPEC (-1) has bit 0. */
	__u32 chain_call_actions[SLOTS];
	__u32 run_prios[SLOTS];
};

/* Frozen before the program is loaded, so that the verifier eliminates unused slots. */
const volatile struct tc_dispatcher_config CONFIG = {};

/*
 * The kernel rejects an extension that changes packet data if the function it replaces does not, judging by its code.
 * Each slot therefore contains such a call after a return that is always taken; volatile hides this from the compiler.
 */
#define SLOT(number)                                                                                                   \
	__attribute__((noinline)) int prog##number(struct __sk_buff *skb)                                              \
	{                                                                                                              \
		volatile int verdict = EMPTY_SLOT;                                                                     \
                                                                                                                       \
		if (verdict == EMPTY_SLOT)                                                                             \
			return verdict;                                                                                \
		return (int)bpf_skb_pull_data(skb, 0);                                                                 \
	}

SLOT(0)
SLOT(1)
SLOT(2)
SLOT(3)
SLOT(4)
SLOT(5)
SLOT(6)
SLOT(7)
SLOT(8)
SLOT(9)

/* A verdict without a bit ends the chain. */
static __always_inline int goes_on(int verdict, __u32 mask)
{
	__u32 bit = (__u32)verdict + 1;

	return bit <= 31 && (mask & (1U << bit)) != 0;
}

#define RUN(number)                                                                                                    \
	if (enabled <= number)                                                                                         \
		return TC_ACT_OK;                                                                                      \
	verdict = prog##number(skb);                                                                                   \
	if (!goes_on(verdict, CONFIG.chain_call_actions[number]))                                                      \
		return verdict;

SEC("tc")
int tc_dispatcher(struct __sk_buff *skb)
{
	/* Volatile, so each look at it would be another load. */
	const __u8 enabled = CONFIG.num_progs_enabled;
	int verdict;

	RUN(0)
	RUN(1)
	RUN(2)
	RUN(3)
	RUN(4)
	RUN(5)
	RUN(6)
	RUN(7)
	RUN(8)
	RUN(9)
	return TC_ACT_OK;
}

char _license[] SEC("license") = "Dual BSD/GPL";
