import type { ImagePullAnswer } from "../../domain/image-answer.ts";
import { readObject } from "../../object/object-file.ts";
import type { ImagesPort } from "../../platform/images.ts";
import { labelsOf } from "../image/build-plan.ts";
import { operation } from "../operation.ts";
import { pullImageRequest } from "../requests/image-requests.ts";

export const implementation = operation({
  request: pullImageRequest,
  async run(images: ImagesPort, { url, registryAuth, pullPolicy }, context): Promise<ImagePullAnswer> {
    const image = await images.pull({ reference: url, registryAuth, pullPolicy }, context);
    // Report an object that cannot be loaded now rather than later.
    const object = labelsOf(readObject(image.object.bytes, { nativeByteOrderOnly: true }));
    return {
      reference: image.reference,
      digest: image.source.digest,
      media_type: image.mediaType,
      programs: image.programs ?? object.programs,
      maps: image.maps ?? object.maps,
    };
  },
});
