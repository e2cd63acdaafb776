/** The filters of the two lists: pure. */
import { kernelWordOf, KERNEL_TYPE_WORDS, programTypeText } from "../domain/kernel-words.ts";
import { attachKindOf, type LinkKind } from "../domain/link.ts";
import { applicationOf, type Metadata, PROGRAM_TYPES, type ProgramType } from "../domain/program.ts";
import { BpfmanError } from "../errors/error.ts";
import { didYouMean } from "../errors/suggest.ts";

/** The words of a `--program-type` filter, as a request has them; null lets everything through. */
export type TypeWords = string | readonly string[] | null;

const anyOf = (words: TypeWords, fits: (word: string) => boolean): boolean =>
  words === null || (typeof words === "string" ? fits(words) : words.length === 0 || words.some(fits));

/** Checks `--program-type` words: the kernel's (as the reference spells them) or bpfman's. Throws INVALID_REQUEST. */
export function requireTypeWords(words: TypeWords): void {
  const known = [...new Set<string>([...PROGRAM_TYPES, ...KERNEL_TYPE_WORDS])];
  for (const word of words === null ? [] : [words].flat()) {
    if (known.includes(word)) continue;
    throw new BpfmanError("INVALID_REQUEST", `unknown program type "${word}"`, {
      details: { field: "programType", received: word },
      hint: didYouMean(word, known) ?? `known types: ${known.join(", ")}`,
    });
  }
}

/** Whether a managed program is of a type meant. `tc` is the kernel's word for tc and tcx alike. */
export const isOfType = (type: ProgramType, words: TypeWords): boolean =>
  anyOf(words, (word) => word === type || word === kernelWordOf(type));

/** The same for a program that only the kernel knows. */
export const isOfKernelType = (type: number, words: TypeWords): boolean =>
  anyOf(words, (word) => word === programTypeText(type));

/** Whether a link is of a kind meant: `kprobe` is the kind of attachment for return probes as well. */
export const isOfKind = (kind: LinkKind, words: TypeWords): boolean =>
  anyOf(words, (word) => word === kind || word === kernelWordOf(kind) || word === attachKindOf(kind));

export const hasApplication = (metadata: Metadata, application: string | null): boolean =>
  application === null || applicationOf(metadata) === application;

export const hasMetadata = (metadata: Metadata, selector: Metadata): boolean =>
  Object.entries(selector).every(([key, value]) => metadata[key] === value);
