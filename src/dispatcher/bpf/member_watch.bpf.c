// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Counts the runs of one XDP or TC program, their time and their verdicts: one program for its entry, one for its exit.
 * The kernel bills what a member of a chain does to the dispatcher.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/* Verdicts -1 to 8, by verdict + 1; the last place is for all others. */
#define VERDICTS 11

struct counts {
	__u64 runs;
	/* Nanoseconds. */
	__u64 time;
	__u64 verdicts[VERDICTS];
	/* Where the run on this processor began; 0 if that was not seen. */
	__u64 began;
};

/* XDP and TC programs are neither interrupted by nor moved for another run on the same processor. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct counts);
} counts SEC(".maps");

static __always_inline struct counts *own(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&counts, &zero);
}

SEC("fentry")
int bpfman_enter(void *context)
{
	struct counts *counts = own();

	if (counts)
		counts->began = bpf_ktime_get_ns();
	return 0;
}

SEC("fexit")
int bpfman_leave(void *context)
{
	__u64 now = bpf_ktime_get_ns(), verdict = 0;
	struct counts *counts = own();
	__u32 place;

	if (!counts || bpf_get_func_ret(context, &verdict))
		return 0;
	counts->runs++;
	if (counts->began)
		counts->time += now - counts->began;
	counts->began = 0;
	place = (__u32)verdict + 1;
	if (place >= VERDICTS)
		place = VERDICTS - 1;
	counts->verdicts[place]++;
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
