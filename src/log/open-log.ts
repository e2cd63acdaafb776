import { isHeard, type LogLevel, type LogPort, type Severity } from "../domain/log.ts";
import { printable, printableJson } from "../domain/printable.ts";

/**
 * Returns a log that passes each message to `write` as one line with its newline: `2026-01-02T03:04:05.678Z WARN
 * message key=value other="two words"`. Messages less severe than `level` are dropped.
 */
export function openLog(level: LogLevel, write: (line: string) => void): LogPort {
  const at =
    (own: Severity) =>
    (message: string, facts: Readonly<Record<string, unknown>> = {}): void => {
      if (!isHeard(own, level)) return;
      const known = Object.entries(facts).filter(([, value]) => value !== undefined);
      const pairs = known.map(([key, value]) => ` ${printable(key)}=${written(value)}`);
      write(`${new Date().toISOString()} ${own.toUpperCase()} ${printable(message)}${pairs.join("")}\n`);
    };
  return { level, error: at("error"), warn: at("warn"), info: at("info"), debug: at("debug") };
}

/** Unquoted if it is a single plain word, JSON otherwise. */
function written(value: unknown): string {
  if (typeof value === "string" && /^[\w./:@%+,-]+$/.test(value)) return value;
  if (value instanceof Error) return written(value.message);
  const text = JSON.stringify(value, (_key, part: unknown) => (typeof part === "bigint" ? part.toString() : part));
  return text === undefined ? printable(String(value)) : printableJson(text);
}
