import type { ImageContentAnswer, ImageInspectAnswer } from "../../domain/image-answer.ts";
import type { ImageDescription, ImagesPort } from "../../platform/images.ts";
import { operation } from "../operation.ts";
import { inspectImageRequest } from "../requests/image-requests.ts";

const contentAnswer = ({ digest, mediaType, programs, maps, layers }: ImageDescription): ImageContentAnswer => ({
  digest,
  media_type: mediaType,
  programs,
  maps,
  layers: layers.map((layer) => ({ media_type: layer.mediaType, digest: layer.digest, size: layer.size })),
});

export const implementation = operation({
  request: inspectImageRequest,
  async run(images: ImagesPort, { url, registryAuth }, context): Promise<ImageInspectAnswer> {
    const { reference, image } = await images.inspect({ reference: url, registryAuth }, context);
    if ("layers" in image) return { reference, ...contentAnswer(image) };
    const manifests = image.manifests.map((each) => {
      const { digest, media_type, ...content } = contentAnswer(each);
      return { digest, media_type, size: each.size, platform: each.platform, ...content };
    });
    return { reference, digest: image.digest, media_type: image.mediaType, manifests };
  },
});
