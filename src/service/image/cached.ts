import type { CachedImageAnswer } from "../../domain/image-answer.ts";
import type { Host } from "../../platform/host.ts";
import type { StoredImage } from "../../platform/images.ts";

export const cachedImage = ({ references, digest, bytes, usedAt }: StoredImage): CachedImageAnswer => ({
  references,
  digest,
  size: bytes,
  used_at: usedAt.toISOString(),
});

/** The IDs of the loaded programs that came from an image, by its digest. */
export function usersOfImages(host: Host): ReadonlyMap<string, readonly number[]> {
  const users = new Map<string, number[]>();
  for (const { id, image } of host.store.programs()) {
    if (image !== null) users.set(image.digest, [...(users.get(image.digest) ?? []), id]);
  }
  return users;
}
