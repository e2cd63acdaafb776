import type { LinkDetails } from "../../domain/link.ts";
import type { ProgramRecord } from "../../domain/program.ts";
import type { Host } from "../../platform/host.ts";
import type { KernelAttach } from "../../platform/kernel.ts";

/** An attach request with all names resolved: what to store, and what to pass to the kernel. */
export interface AttachSpec {
  readonly details: LinkDetails;
  /**
   * Computed again for each attempt, because the hook's order may change in between. Throws ALREADY_ATTACHED if the
   * program is already there.
   */
  kernelAttach(): KernelAttach;
  /** Releases what was opened to resolve the names. */
  close?(): void;
}

/** Resolves the names in one kind of request. Changes nothing. */
export type Resolve<Target> = (host: Host, program: ProgramRecord, target: Target) => AttachSpec;
