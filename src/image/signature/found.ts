import * as v from "valibot";
import { REFERRERS_PER_IMAGE_MAX, SIGNATURES_PER_IMAGE_MAX } from "../../domain/limits.ts";
import { BpfmanError } from "../../errors/error.ts";
import { isDigest } from "../reference.ts";
import type { Descriptor, Digest, Manifest, Repository } from "../repository.ts";

/** Content stored in one of the places for an image's signatures. Not verified in any way. */
export interface FoundSignature {
  readonly layout: "tag" | "referrer";
  /** The manifest that contains it. */
  readonly manifest: Digest;
  readonly content:
    | { readonly format: "simple-signing" | "bundle"; readonly layer: Descriptor }
    /** Why it cannot be read. */
    | { readonly format: "unreadable"; readonly reason: string };
}

/** cosign's own format: the layer is a small signed JSON text, with signature and proofs in its annotations. */
const SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json";
/** Media types of Sigstore bundles of all versions: `….bundle+json;version=0.1`, `….bundle.v0.3+json`. */
const BUNDLE = /^application\/vnd\.dev\.sigstore\.bundle[.+]/;

const text = v.string();
const signatureManifest = v.object({
  layers: v.array(
    v.object({
      mediaType: text,
      digest: v.custom<Digest>((value) => typeof value === "string" && isDigest(value)),
      size: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
      annotations: v.optional(v.nullable(v.record(text, text))),
    }),
  ),
});

/**
 * Finds an image's cosign signatures in both layouts: the manifest tagged `sha256-<hex>.sig`, and the manifests that
 * refer to the image. The artifact type in a list of referrers is not trusted, because cosign itself writes a wrong one
 * there, so each manifest is opened. Throws SIGNATURE_INVALID if there are too many.
 */
export async function* findSignatures(repository: Repository, digest: Digest): AsyncGenerator<FoundSignature> {
  let count = 0;
  for await (const found of everySignature(repository, digest)) {
    if (++count > SIGNATURES_PER_IMAGE_MAX) {
      throw tooMany(repository, digest, `more than ${SIGNATURES_PER_IMAGE_MAX} signatures`);
    }
    yield found;
  }
}

async function* everySignature(repository: Repository, digest: Digest): AsyncGenerator<FoundSignature> {
  const tagged = await repository.manifest(`${digest.replace(":", "-")}.sig`);
  if (tagged !== null) yield* signaturesIn(tagged, "tag");
  const referrers = await repository.referrers(digest);
  if (referrers.length > REFERRERS_PER_IMAGE_MAX) {
    throw tooMany(repository, digest, `more than ${REFERRERS_PER_IMAGE_MAX} manifests that refer to it`);
  }
  for (const { digest: manifest } of referrers) {
    const opened = await openReferrer(repository, manifest);
    if (opened === null) continue;
    if ("content" in opened) yield opened;
    else yield* signaturesIn(opened, "referrer");
  }
}

/** Returns null if it no longer exists. */
async function openReferrer(repository: Repository, digest: Digest): Promise<Manifest | FoundSignature | null> {
  try {
    return await repository.manifest(digest);
  } catch (thrown) {
    const reason = `its manifest is damaged: ${damage(thrown)}`;
    return { layout: "referrer", manifest: digest, content: { format: "unreadable", reason } };
  }
}

function* signaturesIn(manifest: Manifest, layout: "tag" | "referrer"): Generator<FoundSignature> {
  const found = (content: FoundSignature["content"]): FoundSignature => ({
    layout,
    manifest: manifest.digest,
    content,
  });
  const parsed = v.safeParse(signatureManifest, json(manifest.bytes));
  if (!parsed.success) {
    // Other content that refers to an image is ignored, but everything under the signature tag must be a signature.
    if (layout === "tag") yield found({ format: "unreadable", reason: "its manifest is not a signature manifest" });
    return;
  }
  for (const { annotations, ...layer } of parsed.output.layers) {
    const format = formatOf(layer.mediaType);
    if (format !== null) yield found({ format, layer: { ...layer, annotations: annotations ?? {} } });
  }
}

function formatOf(mediaType: string): "simple-signing" | "bundle" | null {
  if (mediaType === SIMPLE_SIGNING) return "simple-signing";
  return BUNDLE.test(mediaType) ? "bundle" : null;
}

/** Parses UTF-8 JSON; returns undefined if it is invalid. */
export function json(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
}

/** Returns the message of an error caused by the content; rethrows others. */
export function damage(thrown: unknown): string {
  const isContent = thrown instanceof BpfmanError && ["IMAGE_DAMAGED", "INVALID_IMAGE"].includes(thrown.code);
  if (!isContent) throw thrown;
  return thrown.message;
}

const tooMany = (repository: Repository, digest: Digest, what: string): BpfmanError =>
  new BpfmanError("SIGNATURE_INVALID", `verify "${repository.name}@${digest}": it has ${what}`, {
    details: { image: `${repository.name}@${digest}` },
    hint: "remove the ones you do not need from the registry",
  });
