/** Compares the rows of volumes with what is mounted. Those in the middle of a change are finished first. */
import type { Host } from "../../platform/host.ts";
import { removeVolume } from "../volume/remove-volume.ts";
import { type Found, finding, type Mend } from "./finding.ts";

export function checkVolumes(host: Host): Found[] {
  const rows = host.store.volumes().all();
  const found: Found[] = [];
  for (const { record, isReady } of rows) {
    if (!isReady || host.volumes.isPublished(record)) continue;
    const { id, targetPath: path } = record;
    const mend: Mend = { stage: "rest", action: `forget volume ${id}`, run: () => removeVolume(host, record) };
    found.push(finding("volume-gone", `volume ${id} is not mounted on ${path}`, { volume_id: id, path }, { mend }));
  }
  for (const { id, mounts } of host.volumes.made()) {
    if (rows.some(({ record }) => record.id === id)) continue;
    const action = `remove volume ${id}${mounts.length === 0 ? "" : ` from ${mounts.join(", ")}`}`;
    const mend: Mend = { stage: "rest", action, run: () => host.volumes.removeMounts(id, mounts) };
    found.push(finding("volume-left", `volume ${id} is recorded nowhere`, { volume_id: id, mounts }, { mend }));
  }
  return found;
}
