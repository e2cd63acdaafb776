import type { LinkDetails } from "../../domain/link.ts";
import type { ProgramRecord } from "../../domain/program.ts";
import type { Host } from "../../platform/host.ts";
import type { KernelAttach } from "../../platform/kernel.ts";

/** An attach request with every name resolved: what to remember, and what to tell the kernel. */
export interface AttachSpec {
  readonly details: LinkDetails;
  /**
   * Computed anew at each attempt, since a hook's order may change in between; throws ALREADY_ATTACHED when the program
   * turns out to be there.
   */
  kernelAttach(): KernelAttach;
  /** Lets go of what was opened to resolve the names. */
  close?(): void;
}

/** Resolves the names of one kind of request; changes nothing. */
export type Resolve<Target> = (host: Host, program: ProgramRecord, target: Target) => AttachSpec;
