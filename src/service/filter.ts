/** The filters of the two list operations. */
import { kernelWordOf, KERNEL_TYPE_WORDS, programTypeText } from "../domain/kernel-words.ts";
import type { LinkKind } from "../domain/link.ts";
import { PROGRAM_TYPES, type ProgramType, KINDS } from "../domain/kinds.ts";
import { applicationOf, type Metadata } from "../domain/program.ts";
import { BpfmanError } from "../errors/error.ts";
import { didYouMean } from "../errors/suggest.ts";

/** The type filter of a request. */
interface TypeFilter {
  /** The kernel's words (in the reference implementation's spelling) and bpfman's own; null matches everything. */
  readonly programType: string | readonly string[] | null;
  /** If set, bpfman's own words match only that type. */
  readonly exactTypes?: boolean | undefined;
}

const isOwn = (word: string): word is ProgramType => PROGRAM_TYPES.some((type) => type === word);

const anyOf = (words: TypeFilter["programType"], fits: (word: string) => boolean): boolean =>
  words === null || (typeof words === "string" ? fits(words) : words.length === 0 || words.some(fits));

/** Throws INVALID_REQUEST for a word that is neither the kernel's nor bpfman's. */
export function requireTypeWords({ programType: words }: TypeFilter): void {
  const known = [...new Set<string>([...PROGRAM_TYPES, ...KERNEL_TYPE_WORDS])];
  for (const word of words === null ? [] : [words].flat()) {
    if (known.includes(word)) continue;
    throw new BpfmanError("INVALID_REQUEST", `unknown program type "${word}"`, {
      details: { field: "programType", received: word },
      hint: didYouMean(word, known) ?? `known types: ${known.join(", ")}`,
    });
  }
}

/** Reports whether a managed program matches. Unless exact, `tc` is the kernel's word for both tc and tcx. */
export const isOfType = (type: ProgramType, { programType, exactTypes }: TypeFilter): boolean =>
  anyOf(programType, (word) => word === type || (!(exactTypes && isOwn(word)) && word === kernelWordOf(type)));

/** Reports whether an unmanaged program matches. The kernel does not distinguish bpfman's types. */
export const isOfKernelType = (type: number, { programType }: TypeFilter): boolean =>
  anyOf(programType, (word) => (isOwn(word) ? kernelWordOf(word) : word) === programTypeText(type));

/** Reports whether a link matches. Unless exact, `kprobe` also matches return probes. */
export const isOfKind = (kind: LinkKind, filter: TypeFilter): boolean =>
  isOfType(kind, filter) ||
  (!filter.exactTypes && anyOf(filter.programType, (word) => word === KINDS[kind].attachKind));

export const hasApplication = (metadata: Metadata, application: string | null): boolean =>
  application === null || applicationOf(metadata) === application;

export const hasMetadata = (metadata: Metadata, selector: Metadata): boolean =>
  Object.entries(selector).every(([key, value]) => metadata[key] === value);
