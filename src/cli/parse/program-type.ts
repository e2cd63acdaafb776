import { KERNEL_TYPE_WORDS } from "../../domain/kernel-words.ts";
import { PROGRAM_TYPES } from "../../domain/program.ts";
import { parseWord } from "./word.ts";

/** What the `--program-type` filters take: the kernel's words, and bpfman's own types. */
export const PROGRAM_TYPE_FILTER_WORDS: readonly string[] = [...new Set([...KERNEL_TYPE_WORDS, ...PROGRAM_TYPES])];

/** Null stands for no filter. Throws USAGE. */
export const parseProgramType = (text: string | null): string | null =>
  text === null ? null : parseWord(text, { what: "program type", words: PROGRAM_TYPE_FILTER_WORDS, code: "USAGE" });
