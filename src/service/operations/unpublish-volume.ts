import type { VolumeRemovalAnswer } from "../../domain/answer.ts";
import { BpfmanError } from "../../errors/error.ts";
import type { Host } from "../../platform/host.ts";
import { type Context, operation } from "../operation.ts";
import { type UnpublishVolumeRequest, unpublishVolumeRequest } from "../requests/volume-requests.ts";
import { removeVolume } from "../volume/remove-volume.ts";

/**
 * Whether that volume is mounted there although it has no row, as after the loss of the database. Throws STATE_CONFLICT if
 * another BPF file system is, or its own although its row has it elsewhere: the caller would take it for gone.
 */
function isUnrecorded({ store, volumes }: Host, { volumeId: id, targetPath }: UnpublishVolumeRequest): boolean {
  const found = volumes.onTarget({ id, targetPath });
  if (found === null) return false;
  if (found === "own" && !store.volumes().find(id)) return true;
  const what = `unpublish volume "${id}": a BPF file system is mounted on "${targetPath}" that is not known to be its own`;
  throw new BpfmanError("STATE_CONFLICT", what, {
    details: { volume_id: id, path: targetPath },
    hint: `see what it has with "ls ${targetPath}", and unmount it with umount if nobody uses it`,
  });
}

async function unpublish(host: Host, request: UnpublishVolumeRequest, context: Context): Promise<VolumeRemovalAnswer> {
  context.requireCapabilities(["CAP_SYS_ADMIN"], "unpublishing a volume");
  const { volumeId: id, targetPath } = request;
  const record = host.store.volumes().find(id)?.record;
  if (record?.targetPath === targetPath) {
    await removeVolume(host, record);
    return { volume_id: id, unpublished: true };
  }
  const isLeft = isUnrecorded(host, request);
  if (isLeft) host.volumes.remove({ id, targetPath, device: null });
  return { volume_id: id, unpublished: isLeft };
}

export const implementation = operation({
  request: unpublishVolumeRequest,
  check: (host: Host, request) => !isUnrecorded(host, request),
  run: unpublish,
});
