import { join } from "node:path";
import type { SigningConfig } from "../domain/signing.ts";
import { BpfmanError } from "../errors/error.ts";
import type { ImagesPort, ImageWork, RegistryAccess } from "../platform/images.ts";
import { type Cache, openCache, type TryLock } from "./cache.ts";
import { hostArchitecture } from "./platform.ts";
import { formatReference, manifestKey, parseReference } from "./reference.ts";
import type { Descriptor, Repository } from "./repository.ts";
import type { ImageVerifier } from "./verifier.ts";

export interface ImagesOptions {
  readonly cacheDir: string;
  /** Additional CA certificates to trust; null for none. */
  readonly caFile: string | null;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signing: SigningConfig;
  readonly tryLock: TryLock;
}

const NO_CACHE: Cache = {
  lock: async () => () => {},
  touch: () => {},
  references: () => [],
  blobs: () => new Map(),
  removeReference: () => {},
  removeBlob: () => {},
  resolved: () => null,
  saveResolved: () => {},
  blob: () => null,
  saveBlob: () => {},
};
/** Accepts all signers, since what is fetched is only looked at. */
const ANYBODY: ImageVerifier = { policy: "", verify: async () => {} };

/** Interval between progress reports of a transfer. */
const PROGRESS_MS = 100;

/** Opens neither a connection nor the cache until an image is requested. */
export function openImages({ cacheDir, caFile, env, signing, tryLock }: ImagesOptions): ImagesPort {
  const rootDirectory = join(cacheDir, "sigstore");
  /** Returns an image's repository, loading the HTTP client on first use. */
  function repositoryOf(access: RegistryAccess, work: ImageWork): () => Promise<Repository> {
    const reference = parseReference(access.reference);
    let opened: Promise<Repository> | null = null;
    const open = async () => {
      const { openRepository } = await import("./open-repository.ts");
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
      const { openVerifier } = await import("./signature/open-verifier.ts");
      const openRepository = repositoryOf(request, work);
      const architecture = hostArchitecture();
      const verifier = openVerifier(signing, rootDirectory);
      return pullImage(request, { cache: openCache(cacheDir, tryLock), openRepository, verifier, architecture }, work);
    },
    async fetch(request, work) {
      const { pullImage } = await import("./pull.ts");
      const needs = { cache: NO_CACHE, openRepository: repositoryOf(request, work), verifier: ANYBODY };
      const pull = { ...request, pullPolicy: "Always" } as const;
      return pullImage(pull, { ...needs, architecture: hostArchitecture() }, work);
    },
    async stored() {
      return (await import("./stored.ts")).storedImages(openCache(cacheDir, tryLock));
    },
    async prune(request, work) {
      return (await import("./stored.ts")).pruneImages(openCache(cacheDir, tryLock), request, work);
    },
    async inspect(request, work) {
      const { inspectImage } = await import("./inspect.ts");
      const reference = parseReference(request.reference);
      const repository = await repositoryOf(request, work)();
      return { reference: formatReference(reference), image: await inspectImage(reference, repository) };
    },
    async verify(request, work) {
      const { rulesOf, verify } = await import("./signature/open-verifier.ts");
      const reference = parseReference(request.reference);
      const name = formatReference(reference);
      const rules = await rulesOf(request, signing);
      const repository = await repositoryOf(request, work)();
      const manifest = await repository.manifest(manifestKey(reference));
      if (manifest === null) {
        throw new BpfmanError("IMAGE_NOT_FOUND", `verify ${name}: the registry has no such image or tag`, {
          details: { reference: name },
        });
      }
      const options = { ...work, rules, rootDirectory, thorough: true };
      return { reference: name, digest: manifest.digest, ...(await verify(repository, manifest.digest, options)) };
    },
  };
}

/** Reports periodically how much of a blob has been transferred. */
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
