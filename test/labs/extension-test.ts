import { test } from "bun:test";
import { release } from "node:os";
import { bpftool } from "./kernel-lab.ts";

/**
 * Why programs cannot be extensions here, by the word of bpftool, which tries it; null when they can. The kernels of the
 * virtual machine take them: there nothing is skipped.
 */
function obstacle(): string | null {
  if (process.env.BPFMAN_TEST_KERNEL !== undefined) return null;
  const { program_types: types } = bpftool("feature", "probe", "kernel");
  return types.have_ext_prog_type === true ? null : `Linux ${release()} here takes no extension programs`;
}

export const noExtensions = obstacle();

/** A test of members in a dispatcher; where the kernel refuses extensions, its name says why it was skipped. */
export function extensionTest(name: string, run: () => void | Promise<void>): void {
  if (noExtensions === null) test(name, run);
  else test.skip(`${name} (skipped: ${noExtensions})`, run);
}
