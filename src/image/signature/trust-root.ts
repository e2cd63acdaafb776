/** Authorities and logs for verifying keyless signatures: the user's own file, or Sigstore's public ones. */
import { accessSync, constants, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { type TrustMaterial, toTrustMaterial } from "@sigstore/verify";
import { TrustedRoot } from "@sigstore/protobuf-specs";
import type { LogPort } from "../../domain/log.ts";
import { TRUST_ROOT_BYTES_MAX, TRUST_ROOT_RETRIES, TRUST_ROOT_TIMEOUT_MS } from "../../domain/limits.ts";
import type { TrustRootOrigin } from "../../domain/signing.ts";
import { BpfmanError } from "../../errors/error.ts";
import { inOwnDirectory } from "../own-directory.ts";
import { readSmallFile } from "./keys.ts";

export interface TrustRoot {
  readonly material: TrustMaterial;
  readonly origin: TrustRootOrigin;
}

export interface TrustRootPlaces {
  /** A user's file, which is then used exclusively; null for the public trusted root. */
  readonly file: string | null;
  /** Where the public one is cached. */
  readonly cacheDirectory: string;
  /** A TUF repository and its initial root, in place of the public one. */
  readonly mirror?: { readonly url: string; readonly root: string };
}

interface Work {
  readonly signal: AbortSignal;
  readonly log: LogPort;
}

const PUBLIC = { url: "https://tuf-repo-cdn.sigstore.dev" } as const;
const TARGET = "trusted_root.json";

/**
 * Returns the trusted root: from the file; else from the cache while its signed metadata is valid; else fetched (TUF);
 * else, with a warning, the last one fetched or the embedded one. Throws TRUST_ROOT_UNAVAILABLE, CANCELLED.
 */
export async function openTrustRoot(places: TrustRootPlaces, { signal, log }: Work): Promise<TrustRoot> {
  if (places.file !== null) return fromFile(places.file);
  try {
    const root = await Promise.race([fetchRoot(places), cancellation(signal)]);
    return { material: toTrustMaterial(root), origin: "current" };
  } catch (thrown) {
    if (thrown instanceof BpfmanError) throw thrown;
    const reason = reasonOf(thrown);
    const known = lastFetched(places);
    if (known !== null) {
      log.warn("could not update the trusted root; using the one fetched last", { reason });
      return known;
    }
    log.warn("could not fetch the trusted root; using the built-in one", { reason });
    return { material: material(await embedded()), origin: "embedded" };
  }
}

function fromFile(file: string): TrustRoot {
  try {
    return { material: material(readSmallFile(file, "trusted root", TRUST_ROOT_BYTES_MAX)), origin: "file" };
  } catch (thrown) {
    const reason = thrown instanceof BpfmanError ? thrown.message : `read trusted root "${file}": ${reasonOf(thrown)}`;
    throw new BpfmanError("TRUST_ROOT_UNAVAILABLE", reason, { details: { path: file }, cause: thrown });
  }
}

/** Throws the libraries' errors if the text is not a trusted root. */
function material(text: string): TrustMaterial {
  const root = TrustedRoot.fromJSON(JSON.parse(text));
  if (root.certificateAuthorities.length === 0) throw new Error("it has no certificate authority");
  return toTrustMaterial(root);
}

/** Returns it from the cache while its metadata is valid, else from the server. Recreates a damaged cache, once. */
async function fetchRoot(places: TrustRootPlaces): Promise<TrustedRoot> {
  const { getTrustedRoot, TUFError } = await import("@sigstore/tuf");
  return inWritableDirectory(places, async (cachePath) => {
    const get = () =>
      getTrustedRoot({
        mirrorURL: (places.mirror ?? PUBLIC).url,
        ...(places.mirror === undefined ? {} : { rootPath: places.mirror.root }),
        cachePath,
        forceCache: true,
        retry: TRUST_ROOT_RETRIES,
        timeout: TRUST_ROOT_TIMEOUT_MS,
      });
    try {
      return await get();
    } catch (thrown) {
      // Network failures are TUFErrors; any other error comes from the cached files.
      if (thrown instanceof TUFError) throw thrown;
      rmSync(join(cachePath, repositoryName(places)), { recursive: true, force: true });
      return await get();
    }
  });
}

/** Uses the cache, or a temporary directory if only root may write to the cache. */
async function inWritableDirectory<T>(
  { cacheDirectory }: TrustRootPlaces,
  use: (path: string) => Promise<T>,
): Promise<T> {
  const inCache = { root: dirname(cacheDirectory), names: [basename(cacheDirectory)] };
  let isWritable = false;
  try {
    inOwnDirectory({ ...inCache, make: true }, (path) => accessSync(path, constants.W_OK));
    isWritable = true;
  } catch (thrown) {
    if (thrown instanceof BpfmanError) throw thrown;
  }
  if (isWritable) return inOwnDirectory({ ...inCache, make: true }, use) as Promise<T>;
  const path = mkdtempSync(join(tmpdir(), "bpfman-sigstore-"));
  try {
    return await use(path);
  } finally {
    rmSync(path, { recursive: true, force: true });
  }
}

/** As @sigstore/tuf names it. */
function repositoryName({ mirror }: TrustRootPlaces): string {
  const { host, pathname } = new URL((mirror ?? PUBLIC).url);
  return encodeURIComponent(host + pathname.replace(/\/$/, ""));
}

/** Returns null if none was ever fetched, or it is damaged. */
function lastFetched(places: TrustRootPlaces): TrustRoot | null {
  const { cacheDirectory } = places;
  try {
    return inOwnDirectory({ root: dirname(cacheDirectory), names: [basename(cacheDirectory)], make: false }, (path) => {
      const directory = join(path, repositoryName(places));
      // The client also stores the embedded root here, before it fetches anything; timestamp.json is only ever fetched.
      if (!existsSync(join(directory, "timestamp.json"))) return null;
      const text = readSmallFile(join(directory, "targets", TARGET), "trusted root", TRUST_ROOT_BYTES_MAX);
      return { material: material(text), origin: "outdated" as const };
    });
  } catch {
    return null;
  }
}

async function embedded(): Promise<string> {
  const { default: seeds } = await import("@sigstore/tuf/seeds.json");
  return Buffer.from(seeds[PUBLIC.url].targets[TARGET], "base64").toString("utf8");
}

function cancellation(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const cancel = () =>
      reject(new BpfmanError("CANCELLED", "verify image: interrupted while the trusted root was fetched"));
    if (signal.aborted) cancel();
    else signal.addEventListener("abort", cancel, { once: true });
  });
}

function reasonOf(thrown: unknown): string {
  const reasons: string[] = [];
  for (let each = thrown; each instanceof Error && reasons.length < 3; each = each.cause) reasons.push(each.message);
  return reasons.join(": ");
}
