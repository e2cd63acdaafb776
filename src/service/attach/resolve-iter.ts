import type { IterDetails } from "../../domain/link.ts";
import { BpfmanError } from "../../errors/error.ts";
import { findMap } from "../map/find-map.ts";
import type { AttachTarget } from "../requests/attach-request.ts";
import type { Resolve } from "./target.ts";

type IterTarget = Extract<AttachTarget, { kind: "iter" }>;

/** Iterators over the entries of one map. */
const OF_ONE_MAP = ["bpf_map_elem", "bpf_sk_storage_map", "sockmap"];

/** What the program visits was chosen at load time; whose entries, for a map's, is chosen here. */
export const resolveIter: Resolve<IterTarget> = (host, program, { map }) => {
  const target = program.attachFunction ?? "";
  // The kernel says nothing of a map that it does not look at.
  if (map !== null && !OF_ONE_MAP.includes(target)) {
    throw new BpfmanError("INVALID_ATTACH", `iterator "${target}" does not visit the entries of a map`, {
      details: { iterator: target, map },
      hint: "omit the map",
    });
  }
  const mapId = map === null ? null : findMap(host, map).id;
  const details: IterDetails = { kind: "iter", target, mapId };
  return { details, kernelAttach: () => details };
};
