import type { Metadata } from "../../domain/program.ts";
import { BpfmanError } from "../../errors/error.ts";

/** KEY=VALUE pairs, split at the first `=`. A key with two different values is a mistake. Throws INVALID_METADATA. */
export function parseMetadata(texts: readonly string[]): Metadata {
  const pairs = new Map<string, string>();
  for (const text of texts) {
    const equals = text.indexOf("=");
    if (equals < 1) {
      const [, before, after] = /^([^:=]+):([^:=]+)$/.exec(text) ?? [];
      throw new BpfmanError("INVALID_METADATA", `invalid metadata "${text}": must be KEY=VALUE`, {
        ...(before === undefined ? {} : { hint: `write "${before}=${after}"` }),
      });
    }
    const [key, value] = [text.slice(0, equals), text.slice(equals + 1)];
    const before = pairs.get(key);
    if (before !== undefined && before !== value) {
      throw new BpfmanError("INVALID_METADATA", `metadata key "${key}" is given twice: "${before}" and "${value}"`);
    }
    pairs.set(key, value);
  }
  return Object.fromEntries(pairs);
}
