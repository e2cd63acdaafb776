import { digestOf, type Manifest, type Repository } from "../../src/image/repository.ts";

/** A repository that keeps what it is given, and refuses what leads to content that it does not have. */
export class MemoryRepository implements Repository {
  readonly name = "example.com/acme/counter";
  readonly blobs = new Map<string, Uint8Array>();
  /** By digest and by tag. */
  readonly manifests = new Map<string, Manifest>();
  /** Keys of manifests in the order in which they came. */
  readonly order: string[] = [];

  async manifest(reference: string) {
    return this.manifests.get(reference) ?? null;
  }
  async blob({ digest }: { readonly digest: string }) {
    const bytes = this.blobs.get(digest);
    if (bytes === undefined) throw new Error(`no blob ${digest}`);
    return bytes;
  }
  async referrers() {
    return [];
  }
  async putBlob(bytes: Uint8Array) {
    const digest = digestOf(bytes);
    this.blobs.set(digest, bytes);
    return digest;
  }
  async putManifest(reference: string, { bytes, mediaType }: Omit<Manifest, "digest">) {
    const { config, layers = [], manifests = [] } = JSON.parse(new TextDecoder().decode(bytes));
    for (const { digest } of manifests) if (!this.manifests.has(digest)) throw new Error(`no manifest ${digest}`);
    for (const { digest } of [...(config ? [config] : []), ...layers]) await this.blob({ digest });
    const digest = digestOf(bytes);
    for (const key of [reference, digest]) this.manifests.set(key, { bytes, mediaType, digest });
    this.order.push(reference);
    return digest;
  }
}
