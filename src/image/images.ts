import type { ImagesPort, ImageWork, RegistryAccess } from "../platform/images.ts";
import { openCache } from "./cache.ts";
import { hostArchitecture } from "./platform.ts";
import { formatReference, parseReference } from "./reference.ts";
import type { Descriptor, Repository } from "./repository.ts";
import type { ImageVerifier } from "./verifier.ts";

export interface ImagesOptions {
  readonly cacheDir: string;
  /** Certificates to trust besides the usual ones; null for none. */
  readonly caFile: string | null;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly verifier: ImageVerifier;
}

/** How often the progress of a transfer is said. */
const PROGRESS_MS = 100;

/** Opens neither a connection nor the cache before an image is asked for. */
export function openImages({ cacheDir, caFile, env, verifier }: ImagesOptions): ImagesPort {
  /** The repository of an image, whose client is fetched with the first need of it. */
  function repositoryOf(access: RegistryAccess, work: ImageWork): () => Promise<Repository> {
    const reference = parseReference(access.reference);
    let opened: Promise<Repository> | null = null;
    const open = async () => {
      const { openRepository } = await import("./registry.ts");
      const transferred = transferReport(formatReference(reference), work);
      const { registryAuth } = access;
      return openRepository(reference, { signal: work.signal, registryAuth, caFile, env, transferred });
    };
    return () => {
      opened ??= open();
      return opened;
    };
  }

  return {
    async pull(request, work) {
      const { pullImage } = await import("./pull.ts");
      const openRepository = repositoryOf(request, work);
      const architecture = hostArchitecture();
      return pullImage(request, { cache: openCache(cacheDir), openRepository, verifier, architecture }, work);
    },
    async inspect(request, work) {
      const { inspectImage } = await import("./inspect.ts");
      const reference = parseReference(request.reference);
      const repository = await repositoryOf(request, work)();
      return { reference: formatReference(reference), image: await inspectImage(reference, repository) };
    },
  };
}

/** Says now and then how much of a blob has come. */
function transferReport(name: string, work: ImageWork): (blob: Descriptor, bytes: number) => void {
  let saidAt = 0;
  return ({ size }, bytes) => {
    const now = performance.now();
    if (bytes < size && now - saidAt < PROGRESS_MS) return;
    saidAt = now;
    work.progress(`${name}: ${kib(bytes)} of ${kib(size)} KiB`);
  };
}

const kib = (bytes: number): string => (bytes / 1024).toFixed(1);
