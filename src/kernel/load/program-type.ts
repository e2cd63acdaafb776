import type { AttachTypeName, ProgramTypeName } from "../../../ffi/safe/bpf-object.ts";
import { type KindFacts, sectionFacts } from "../../domain/kinds.ts";

/** What the kernel is told a program of ours is. */
export interface KernelType {
  readonly type: ProgramTypeName;
  readonly expectedAttachType: AttachTypeName | null;
}

/** Of a program of that kind that stands in this section. */
export function kernelTypeOf(facts: KindFacts, section: string): KernelType {
  const { programType = facts.programType, expectedAttachType = facts.expectedAttachType } = sectionFacts(
    facts,
    section,
  );
  return { type: programType, expectedAttachType };
}
