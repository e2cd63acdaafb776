/**
 * Loads the code that explains failures when there is one: it tests programs and reads the kernel's BTF, which a
 * successful command should not have in memory. Uses `require`, because the callers cannot await `import()`.
 */
import type { ProgramType } from "../../domain/kinds.ts";
import type { Feature, FeatureName } from "../../platform/kernel.ts";

/** Returns why the kernel may have returned EPERM (evidence.ts). */
export const permissionHint = (type: ProgramType | null = null): string =>
  (require("./evidence.ts") as typeof import("./evidence.ts")).permissionHint(type);

/** Tests whether the kernel supports a feature (features.ts). */
export const feature = (name: FeatureName): Feature =>
  (require("./features.ts") as typeof import("./features.ts")).feature(name);
