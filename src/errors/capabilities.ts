import type { Capability } from "../domain/capabilities.ts";
import { BpfmanError } from "./error.ts";

/** Creates the error for a process that lacks capabilities. `what` says who needs them: `an XDP program`. */
export function capabilitiesMissing(
  what: string,
  missing: readonly Capability[],
  effective: readonly Capability[],
): BpfmanError {
  const uid = process.geteuid?.() ?? 0;
  const who = uid === 0 ? "root" : `user ${uid}`;
  const needed = `${uid === 0 ? "" : "root or "}${missing.join(" and ")}`;
  const has = effective.length === 0 ? "with no capability for BPF" : `with only ${effective.join(", ")}`;
  return new BpfmanError("PERMISSION_DENIED", `${what} needs ${needed}: this process runs as ${who} ${has}`, {
    details: { missing, effective },
    hint: uid === 0 ? hintForRoot(missing) : hintForUser(missing),
  });
}

const hintForRoot = (missing: readonly Capability[]): string =>
  `root lacks it here: add it to the container (--cap-add=${missing.map((name) => name.slice("CAP_".length)).join(",")}), or to CapabilityBoundingSet= of the service`;

const hintForUser = (missing: readonly Capability[]): string =>
  `run it with sudo, or as a service with AmbientCapabilities=${missing.join(" ")}`;

/** Creates the error for an executable that is setuid or has file capabilities. */
export const rightsOfFile = (): BpfmanError =>
  new BpfmanError(
    "PERMISSION_DENIED",
    "the executable is setuid or has file capabilities, so that any user could load programs",
    {
      hint: `take them away (setcap -r FILE, chmod u-s FILE), and run it with sudo, or as a service with AmbientCapabilities=`,
    },
  );
