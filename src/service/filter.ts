/** The filters of the two lists: pure. */
import { kernelWordOf, KERNEL_TYPE_WORDS, programTypeText } from "../domain/kernel-words.ts";
import { APPLICATION_KEY, type Metadata, PROGRAM_TYPES, type ProgramType } from "../domain/program.ts";
import { BpfmanError } from "../errors/error.ts";
import { didYouMean } from "../errors/suggest.ts";

/** Checks a `--program-type` word: the kernel's (as the reference spells them) or bpfman's. Throws INVALID_REQUEST. */
export function requireTypeWord(word: string | null): void {
  if (word === null) return;
  const known = [...new Set<string>([...PROGRAM_TYPES, ...KERNEL_TYPE_WORDS])];
  if (known.includes(word)) return;
  throw new BpfmanError("INVALID_REQUEST", `unknown program type "${word}"`, {
    details: { field: "programType", received: word },
    hint: didYouMean(word, known) ?? `known types: ${known.join(", ")}`,
  });
}

/** Whether a managed program is of the type meant. `tc` is the kernel's word for tc and tcx alike. */
export const isOfType = (type: ProgramType, word: string | null): boolean =>
  word === null || word === type || word === kernelWordOf(type);

/** The same for a program that only the kernel knows. */
export const isOfKernelType = (type: number, word: string | null): boolean =>
  word === null || word === programTypeText(type);

export const hasApplication = (metadata: Metadata, application: string | null): boolean =>
  application === null || metadata[APPLICATION_KEY] === application;

export const hasMetadata = (metadata: Metadata, selector: Metadata): boolean =>
  Object.entries(selector).every(([key, value]) => metadata[key] === value);
