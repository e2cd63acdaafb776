import * as v from "valibot";
import { REFERRERS_PER_IMAGE_MAX, SIGNATURES_PER_IMAGE_MAX } from "../../domain/limits.ts";
import { BpfmanError } from "../../errors/error.ts";
import { isDigest } from "../reference.ts";
import type { Descriptor, Digest, Manifest, Repository } from "../repository.ts";

/** Something that is stored where the signatures of an image are. Nothing about it has been checked. */
export interface FoundSignature {
  readonly layout: "tag" | "referrer";
  /** The manifest that holds it. */
  readonly manifest: Digest;
  readonly content:
    | { readonly format: "simple-signing" | "bundle"; readonly layer: Descriptor }
    /** Why it cannot be read. */
    | { readonly format: "unreadable"; readonly reason: string };
}

/** cosign's own format: a small JSON text that is signed, with signature and proofs as annotations of the layer. */
const SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json";
/** Sigstore bundles of all versions: `….bundle+json;version=0.1`, `….bundle.v0.3+json`. */
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
 * What cosign calls the signatures of an image, in both of its layouts: the manifest under the tag `sha256-<hex>.sig`, and
 * those manifests that refer to the image. The type that a list of referrers gives for an entry is not trusted: cosign
 * itself writes a wrong one there, so each manifest is opened. Throws SIGNATURE_INVALID when there are too many.
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

/** Null when it has gone. */
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
    // Whatever else refers to an image is not ours to judge; what stands under the tag of signatures is.
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

/** The value of a JSON text in UTF-8; undefined when it is none. */
export function json(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
}

/** The message of an error that is the content's fault; others are thrown on. */
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
