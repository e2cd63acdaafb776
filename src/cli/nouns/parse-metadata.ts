import type { Metadata } from "../../domain/program.ts";
import { parseMetadata } from "../parse/metadata.ts";

/**
 * KEY=VALUE pairs as newer bpfman takes them: blanks around a key do not count, and the last value of a key does. Throws
 * INVALID_METADATA.
 */
export const parseNounMetadata = (texts: readonly string[]): Metadata =>
  Object.fromEntries(texts.flatMap((text) => Object.entries(parseMetadata([text.replace(/^([^=]*)=/, trimmed)]))));

const trimmed = (_: string, key: string): string => `${key.trim()}=`;
