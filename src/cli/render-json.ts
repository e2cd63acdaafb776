import { printableJson } from "../domain/printable.ts";

/** Two-space indent and one newline at the end. Escapes what a terminal would act on; the value stays the same. */
export const renderJson = (value: unknown): string => `${printableJson(JSON.stringify(value, null, 2))}\n`;
