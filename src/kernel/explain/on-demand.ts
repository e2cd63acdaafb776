/**
 * What explains a failure, fetched once there is one: it tries programs out and reads the kernel's BTF, and a command
 * that succeeds should not even have it in memory. `require`, because who explains cannot wait for an `import()`.
 */
import type { ProgramType } from "../../domain/kinds.ts";
import type { Feature, FeatureName } from "../../platform/kernel.ts";

/** Why the kernel may have said EPERM (evidence.ts). */
export const permissionHint = (type: ProgramType | null = null): string =>
  (require("./evidence.ts") as typeof import("./evidence.ts")).permissionHint(type);

/** Whether the kernel can do something (features.ts). */
export const feature = (name: FeatureName): Feature =>
  (require("./features.ts") as typeof import("./features.ts")).feature(name);
