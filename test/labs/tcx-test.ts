import { test } from "bun:test";
import { release } from "node:os";
import { BpfmanError } from "../../src/errors/error.ts";
import { openKernel } from "../../src/kernel/open-kernel.ts";

/** TCX came with Linux 6.6. */
const [major = 0, minor = 0] = release().split(".").map(Number);
const shouldHaveTcx = major > 6 || (major === 6 && minor >= 6);

/** Asked of the kernel itself: the loopback interface, which is always there, has a TCX hook or not. */
function hasTcx(): boolean {
  try {
    openKernel().tcxState({ netns: null, ifindex: 1, direction: "ingress" });
    return true;
  } catch (thrown) {
    if (thrown instanceof BpfmanError && thrown.code === "KERNEL_UNSUPPORTED") return false;
    throw thrown;
  }
}

const asRoot = process.geteuid?.() === 0;
/** Whether the kernel has TCX. One that should have it and does not is a failure, not a reason to skip. */
export const tcxAvailable = asRoot && hasTcx();
if (asRoot && shouldHaveTcx && !tcxAvailable) {
  throw new Error(`Linux ${release()} should have TCX, but bpfman finds that it does not`);
}

/** A test that needs TCX; where there is none its name says why it was skipped. */
export function tcxTest(name: string, run: () => void | Promise<void>, timeoutMs?: number): void {
  if (tcxAvailable) test(name, run, timeoutMs);
  else test.skip(`${name} (skipped: Linux ${release()} has no TCX)`, run);
}
