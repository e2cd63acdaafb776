/** Bytecode images built by hand, valid or not, and an in-memory repository that holds them. */
import { gzipSync } from "node:zlib";
import { BpfmanError } from "../../src/errors/error.ts";
import { type Descriptor, type Digest, digestOf, type Repository } from "../../src/image/repository.ts";
import { DOCKER_LIST, DOCKER_MANIFEST, mediaTypeOf, OCI_INDEX, OCI_MANIFEST } from "../../src/image/manifest.ts";

export const OCI_CONFIG = "application/vnd.oci.image.config.v1+json";
export const OCI_LAYER = "application/vnd.oci.image.layer.v1.tar";
export const DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip";

/** The least that is taken for an object file before it is looked into. */
export const ELF = new Uint8Array([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0]);

export const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
export const jsonBytes = (value: unknown): Uint8Array => bytesOf(JSON.stringify(value));

export interface TarEntry {
  readonly name: string;
  readonly bytes?: Uint8Array;
  /** A regular file when absent. */
  readonly type?: string;
  readonly link?: string;
}

/** An archive in the ustar format; `rest` goes behind it in place of the two blocks of zeros. */
export function tarOf(entries: readonly TarEntry[], rest: Uint8Array = new Uint8Array(1024)): Uint8Array {
  return Buffer.concat([...entries.map(tarEntry), rest]);
}

export function tarEntry({ name, bytes = new Uint8Array(0), type = "0", link = "" }: TarEntry): Uint8Array {
  const header = Buffer.alloc(512);
  header.write(name.slice(0, 100), 0);
  header.write("0000644\0", 100);
  header.write("0000000\0", 108);
  header.write("0000000\0", 116);
  header.write(`${bytes.length.toString(8).padStart(11, "0")}\0`, 124);
  header.write("00000000000\0", 136);
  header.write(" ".repeat(8), 148);
  header.write(type, 156);
  header.write(link, 157);
  header.write("ustar\0", 257);
  header.write("00", 263);
  return Buffer.concat([withSum(header), bytes, Buffer.alloc(-bytes.length & 511)]);
}

/** The header with the sum that its bytes have. */
export function withSum(header: Buffer): Buffer {
  header.write(" ".repeat(8), 148);
  const sum = header.reduce((all, byte) => all + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return header;
}

/** A repository in memory. What it was asked for is counted. */
export class MemoryRepository implements Repository {
  readonly name = "registry.test/image";
  readonly blobs = new Map<string, Uint8Array>();
  /** By tag and by digest. */
  readonly manifests = new Map<string, Uint8Array>();
  readonly asked: string[] = [];

  async manifest(reference: string) {
    this.asked.push(`manifest ${reference}`);
    const bytes = this.manifests.get(reference);
    return bytes === undefined ? null : { bytes, digest: digestOf(bytes), mediaType: mediaTypeOf(bytes, this.name) };
  }
  async blob({ digest }: Descriptor) {
    this.asked.push(`blob ${digest}`);
    const bytes = this.blobs.get(digest);
    if (bytes !== undefined && digestOf(bytes) === digest) return bytes;
    throw new BpfmanError("IMAGE_DAMAGED", `fetch ${this.name}@${digest}: it is not there, or damaged`);
  }
  /** Under the fallback tag alone. */
  async referrers(digest: Digest): Promise<readonly Descriptor[]> {
    this.asked.push(`referrers ${digest}`);
    const index = this.manifests.get(digest.replace(":", "-"));
    return index === undefined ? [] : JSON.parse(new TextDecoder().decode(index)).manifests;
  }
  async putBlob(bytes: Uint8Array) {
    this.blobs.set(digestOf(bytes), bytes);
    return digestOf(bytes);
  }
  async putManifest(reference: string, { bytes }: { readonly bytes: Uint8Array }) {
    for (const key of [reference, digestOf(bytes)]) this.manifests.set(key, bytes);
    return digestOf(bytes);
  }
}

export interface ImageDraft {
  /** Files of the first layer. */
  readonly files?: readonly TarEntry[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly docker?: boolean;
  /** The layer as it is uploaded, instead of one made of the files. */
  readonly layer?: Uint8Array;
  readonly layerType?: string;
}

/** Puts an image there, under its digest and a tag; answers its descriptor. */
export async function putImage(repository: Repository, tag: string, draft: ImageDraft = {}): Promise<Descriptor> {
  const { files = [{ name: "program.o", bytes: ELF }], labels = {}, docker = false } = draft;
  const layer = draft.layer ?? gzipSync(tarOf(files));
  const config = jsonBytes({ architecture: "amd64", os: "linux", config: { Labels: labels } });
  const type = docker ? DOCKER_MANIFEST : OCI_MANIFEST;
  const bytes = jsonBytes({
    schemaVersion: 2,
    mediaType: type,
    config: {
      mediaType: docker ? "application/vnd.docker.container.image.v1+json" : OCI_CONFIG,
      digest: await repository.putBlob(config),
      size: config.length,
    },
    layers: [
      {
        mediaType: draft.layerType ?? (docker ? DOCKER_LAYER : `${OCI_LAYER}+gzip`),
        digest: await repository.putBlob(layer),
        size: layer.length,
      },
    ],
  });
  const digest = await repository.putManifest(tag, { bytes, mediaType: type });
  return { mediaType: type, digest, size: bytes.length };
}

export async function putIndex(
  repository: Repository,
  tag: string,
  { entries, docker = false }: { entries: readonly Descriptor[]; docker?: boolean },
): Promise<Digest> {
  const mediaType = docker ? DOCKER_LIST : OCI_INDEX;
  const bytes = jsonBytes({ schemaVersion: 2, mediaType, manifests: entries });
  return repository.putManifest(tag, { bytes, mediaType });
}
