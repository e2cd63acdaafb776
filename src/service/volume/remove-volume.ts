/** Removes a volume, for `unpublish`, recovery and `repair`. */
import type { VolumeRecord } from "../../domain/volume.ts";
import type { Host } from "../../platform/host.ts";
import { finish } from "../plan.ts";

/** The maps stay as long as their programs, or another volume, have them. Throws IO_FAILED if a target is in use. */
export async function removeVolume(host: Host, volume: VolumeRecord): Promise<void> {
  const rows = host.store.volumes();
  rows.setReady(volume.id, false);
  await finish(`remove volume ${volume.id}`, () => {
    host.volumes.remove(volume);
    rows.delete(volume.id);
  });
}
