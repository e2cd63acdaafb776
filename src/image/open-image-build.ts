/** Provides registries, container tools and machine facts for building images. */
import { BpfmanError } from "../errors/error.ts";
import type { ImageBuildHost } from "../platform/image-build.ts";
import { openContainerTools } from "./open-container-tools.ts";
import { hostArchitecture } from "./platform.ts";
import { formatReference, parseReference, repositoryName } from "./reference.ts";

interface Options {
  /** Additional CA certificates to trust; null for none. */
  readonly caFile: string | null;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Opens nothing until it is used. */
export function openImageBuild({ caFile, env }: Options): Omit<ImageBuildHost, "files"> {
  return {
    containers: openContainerTools(env),
    publisher: {
      target(tag) {
        const reference = parseReference(tag);
        if (reference.digest !== null) {
          throw new BpfmanError("INVALID_REFERENCE", `build "${tag}": a digest follows from what is built`, {
            hint: "name a tag: REGISTRY/NAME:TAG",
          });
        }
        return { repository: repositoryName(reference), reference: formatReference(reference) };
      },
      async publish(tag, objects, { signal, progress }) {
        const { creationTime, publishObjects } = await import("./publish.ts");
        const { openRepository } = await import("./open-repository.ts");
        const createdAt = creationTime(env.SOURCE_DATE_EPOCH);
        const reference = parseReference(tag);
        const repository = openRepository(reference, { signal, registryAuth: null, caFile, env });
        return publishObjects(repository, { tag: reference.tag ?? "latest", objects, createdAt, progress });
      },
    },
    architecture: hostArchitecture(),
  };
}
