import type { Metadata } from "../../domain/program.ts";

/** Renders `key=value`, sorted. */
export const metadataLines = (metadata: Metadata): string[] =>
  Object.entries(metadata)
    .map(([key, value]) => `${key}=${value}`)
    .sort();
