/** Looks at bpfman's own directories and files, and at those of other tools. */
import * as fs from "../../ffi/safe/file-system.ts";
import { BpfmanError } from "../errors/error.ts";
import { requireOwn } from "../errors/ownership.ts";
import type { UnsafePlace } from "../platform/machine.ts";

/** Returns those of the places that exist and that others can change. */
export function unsafePlaces(places: readonly { path: string; kind: "directory" | "file" }[]): UnsafePlace[] {
  return places.flatMap(({ path, kind }) => {
    const stats = fs.lstatSync(path);
    if (stats === undefined) return [];
    try {
      requireOwn(
        { action: `use the ${kind}`, path, kind, code: "STATE_CONFLICT", otherwise: "give another place" },
        stats,
      );
      return [];
    } catch (thrown) {
      if (!(thrown instanceof BpfmanError)) throw thrown;
      return [{ path, problem: thrown.message, remedy: thrown.hint }];
    }
  });
}

/** Where other tools keep what they load. */
const OTHER_TOOLS: Readonly<Record<string, string>> = {
  "/run/bpfman-sock": "the bpfman daemon written in Rust",
  "/run/bpfd": "bpfd, the predecessor of bpfman",
  "/sys/fs/bpf/xdp": "xdp-loader (libxdp)",
  "/sys/fs/bpf/cilium": "Cilium",
  "/sys/fs/bpf/tc/globals": "iproute2 or Cilium",
  "/run/l3afd": "l3afd",
};

/** Returns the places of other tools that exist. */
export const otherTools = (): { path: string; tool: string }[] =>
  Object.entries(OTHER_TOOLS).flatMap(([path, tool]) => (fs.existsSync(path) ? [{ path, tool }] : []));
