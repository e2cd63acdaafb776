import type { ImageListAnswer } from "../../domain/image-answer.ts";
import type { Host } from "../../platform/host.ts";
import type { StoredImages } from "../../platform/images.ts";
import { cachedImage, usersOfImages } from "../image/cached.ts";
import { operation } from "../operation.ts";
import { listImagesRequest } from "../requests/image-requests.ts";

function listImages(host: Host, { images, bytes }: StoredImages): ImageListAnswer {
  const users = usersOfImages(host);
  const listed = images.map((image) => ({ ...cachedImage(image), programs: users.get(image.digest) ?? [] }));
  return { images: listed, size: bytes };
}

export const implementation = operation({
  request: listImagesRequest,
  prepare: async (sources) => (await sources.openImages()).stored(),
  run: listImages,
});
