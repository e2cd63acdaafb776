// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Loaded and attached once to see whether the kernel takes extension programs. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("freplace/prog0")
int extension_probe(struct xdp_md *ctx)
{
	return XDP_PASS;
}

char _license[] SEC("license") = "Dual BSD/GPL";
