import type { Schema } from "../../src/store/migrate.ts";

/** A schema of steps that a test makes up. */
export const schemaOf = (steps: readonly string[]): Schema => ({ version: steps.length, steps: () => steps });
