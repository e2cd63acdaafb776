import { type Capability, missingCapabilities } from "../domain/capabilities.ts";
import type { Runtime } from "../platform/runtime.ts";

/** Throws PERMISSION_DENIED if this process lacks one of these capabilities. `what` says who needs them. */
export function requireCapabilities(
  runtime: Pick<Runtime, "capabilities">,
  needed: readonly Capability[],
  what: string,
): void {
  const effective = runtime.capabilities();
  const missing = missingCapabilities(needed, effective);
  if (missing.length === 0) return;
  // Loaded only if one is missing.
  const { capabilitiesMissing } = require("../errors/capabilities.ts") as typeof import("../errors/capabilities.ts");
  throw capabilitiesMissing(what, missing, effective);
}
