import type { ImagePruneAnswer } from "../../domain/image-answer.ts";
import type { Host } from "../../platform/host.ts";
import type { ImagesPort } from "../../platform/images.ts";
import { cachedImage, usersOfImages } from "../image/cached.ts";
import { type Context, operation } from "../operation.ts";
import { pruneImagesRequest } from "../requests/image-requests.ts";

interface Input {
  readonly images: ImagesPort;
  readonly dryRun: boolean;
}

/** Without the writer lock: a load that runs has its image in memory, and programs keep copies of their objects. */
async function pruneImages(host: Host, { images, dryRun }: Input, context: Context): Promise<ImagePruneAnswer> {
  const keep = new Set(usersOfImages(host).keys());
  const pruned = await images.prune({ keep, dryRun, timeoutMs: context.lockTimeoutMs }, context);
  return { dry_run: dryRun, images: pruned.images.map(cachedImage), files: pruned.files, size: pruned.bytes };
}

export const implementation = operation({
  request: pruneImagesRequest,
  prepare: async (sources, { dryRun }) => ({ images: await sources.openImages(), dryRun }),
  run: pruneImages,
});
