import type { VolumeRemovalAnswer } from "../../domain/answer.ts";
import type { Host } from "../../platform/host.ts";
import { type Context, operation } from "../operation.ts";
import { type UnpublishVolumeRequest, unpublishVolumeRequest } from "../requests/volume-requests.ts";
import { removeVolume } from "../volume/remove-volume.ts";

async function unpublish(host: Host, request: UnpublishVolumeRequest, context: Context): Promise<VolumeRemovalAnswer> {
  context.requireCapabilities(["CAP_SYS_ADMIN"], "unpublishing a volume");
  const { volumeId, targetPath } = request;
  const record = host.store.volumes().find(volumeId)?.record;
  const isThere = record?.targetPath === targetPath;
  if (isThere) await removeVolume(host, record);
  return { volume_id: volumeId, unpublished: isThere };
}

export const implementation = operation({ request: unpublishVolumeRequest, run: unpublish });
