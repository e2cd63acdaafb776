import type { IterDetails } from "../../domain/link.ts";
import { findMap } from "../map/find-map.ts";
import type { AttachTarget } from "../requests/attach-request.ts";
import type { Resolve } from "./target.ts";

type IterTarget = Extract<AttachTarget, { kind: "iter" }>;

/** What the program visits was chosen at load time; whose entries, for a map's, is chosen here. */
export const resolveIter: Resolve<IterTarget> = (host, program, { map }) => {
  const mapId = map === null ? null : findMap(host, map).id;
  const details: IterDetails = { kind: "iter", target: program.attachFunction ?? "", mapId };
  return { details, kernelAttach: () => details };
};
