// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Runs up to ten XDP programs in sequence on one hook. Each slot is a function that is replaced by a program of type
 * BPF_PROG_TYPE_EXT; conf says how many slots are used and after which verdicts the chain continues.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define SLOTS 10
#define MAGIC 236
#define VERSION 2
/* Returned by a slot that is not replaced: bit 31 of chain_call_actions. */
#define EMPTY_SLOT 31

struct xdp_dispatcher_config {
	__u8 magic;
	__u8 dispatcher_version;
	__u8 num_progs_enabled;
	__u8 is_xdp_frags;
	/* One bit per XDP action. */
	__u32 chain_call_actions[SLOTS];
	__u32 run_prios[SLOTS];
	__u32 program_flags[SLOTS];
};

/* Frozen before the program is loaded, so that the verifier eliminates unused slots. */
const volatile struct xdp_dispatcher_config conf = {.magic = MAGIC, .dispatcher_version = VERSION};

/*
 * The kernel rejects an extension that changes packet data if the function it replaces does not, judging by its code.
 * Each slot therefore contains such a call after a return that is always taken; volatile hides this from the compiler.
 */
#define SLOT(number)                                                                                                   \
	__attribute__((noinline)) int prog##number(struct xdp_md *ctx)                                                 \
	{                                                                                                              \
		volatile int verdict = EMPTY_SLOT;                                                                     \
                                                                                                                       \
		if (verdict == EMPTY_SLOT)                                                                             \
			return verdict;                                                                                \
		return (int)bpf_xdp_adjust_tail(ctx, 0);                                                               \
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
static __always_inline int goes_on(__u32 verdict, __u32 mask)
{
	return verdict <= 31 && (mask & (1U << verdict)) != 0;
}

#define RUN(number)                                                                                                    \
	if (enabled <= number)                                                                                         \
		return XDP_PASS;                                                                                       \
	verdict = prog##number(ctx);                                                                                   \
	if (!goes_on(verdict, conf.chain_call_actions[number]))                                                        \
		return verdict;

SEC("xdp")
int xdp_dispatcher(struct xdp_md *ctx)
{
	/* Volatile, so each look at it would be another load. */
	const __u8 enabled = conf.num_progs_enabled;
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
	return XDP_PASS;
}

/* Read by tools that know this layout. */
__uint(dispatcher_version, VERSION) SEC("xdp_metadata");

char _license[] SEC("license") = "Dual BSD/GPL";
