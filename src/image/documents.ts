/** The JSON documents of a bytecode image, as bytes that depend only on their content (OCI image spec 1.0). */
import { MAPS_LABEL, PROGRAMS_LABEL, type BytecodeLabels } from "../domain/image-labels.ts";
import { OCI_INDEX, OCI_MANIFEST } from "./manifest.ts";
import { type Descriptor, type Digest, digestOf } from "./repository.ts";

export const OCI_CONFIG = "application/vnd.oci.image.config.v1+json";
export const OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip";

export interface ImageConfig {
  /** GOARCH */
  readonly architecture: string;
  readonly labels: BytecodeLabels;
  /** Digest of the uncompressed layer. */
  readonly diffId: Digest;
  readonly createdAt: Date;
}

/** Keys are in a fixed order; those of labels were sorted by the caller. */
const encode = (document: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(document));

export function configBytes({ architecture, labels, diffId, createdAt }: ImageConfig): Uint8Array {
  const created = createdAt.toISOString().replace(".000Z", "Z");
  return encode({
    created,
    architecture,
    os: "linux",
    config: {
      Labels: {
        [MAPS_LABEL]: JSON.stringify(labels.maps),
        [PROGRAMS_LABEL]: JSON.stringify(labels.programs),
      },
    },
    rootfs: { type: "layers", diff_ids: [diffId] },
    history: [{ created, created_by: "bpfman image build" }],
  });
}

export const manifestBytes = (config: Descriptor, layer: Descriptor): Uint8Array =>
  encode({ schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers: [layer] });

export const indexBytes = (manifests: readonly Descriptor[]): Uint8Array =>
  encode({ schemaVersion: 2, mediaType: OCI_INDEX, manifests });

export const descriptorOf = (mediaType: string, bytes: Uint8Array): Descriptor => ({
  mediaType,
  digest: digestOf(bytes),
  size: bytes.length,
});
