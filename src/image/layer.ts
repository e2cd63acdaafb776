/** Extracts the object file from a compressed layer. */
import { LAYER_TAR_BYTES_MAX, OBJECT_BYTES_MAX } from "../domain/limits.ts";
import type { PulledImage } from "../platform/images.ts";
import { invalid } from "./manifest.ts";
import { readTar } from "./tar.ts";

/** Media types of OCI and docker layers: tar archives, compressed or not. */
const LAYER_TYPE =
  /^application\/vnd\.(oci\.image\.layer\.(nondistributable\.)?v1|docker\.image\.rootfs\.(foreign\.)?diff)\.tar([.+](gzip|zstd))?$/;

const GZIP = [0x1f, 0x8b];
const ZSTD = [0x28, 0xb5, 0x2f, 0xfd];
/** Skippable frames, with which some tools start a zstd stream (RFC 8878, 3.1.2). */
const ZSTD_SKIPPABLE = [0x2a, 0x4d, 0x18];
const ELF = [0x7f, 0x45, 0x4c, 0x46];

interface Layer {
  readonly mediaType: string;
  readonly bytes: Uint8Array;
  /** Name of the image, for messages. */
  readonly name: string;
  /** The file to extract; null for the only one. */
  readonly fileName: string | null;
}

/** Returns the only ELF file in the root directory of a layer. Throws INVALID_IMAGE. */
export async function objectIn({ mediaType, bytes, name, fileName }: Layer): Promise<PulledImage["object"]> {
  const what = `the first layer of ${name}`;
  if (!LAYER_TYPE.test(mediaType))
    throw invalid(what, `it is of type "${mediaType.slice(0, 200)}", which is not an archive`);
  const archive = await unpack(bytes, what);
  const files = readTar(archive, (reason) => invalid(what, reason));
  const objects = files.filter((file) => startsWith(file.bytes, ELF));
  const atRoot = objects.filter((file) => !file.name.includes("/"));
  const wanted = fileName === null ? atRoot : atRoot.filter((file) => file.name === fileName.replace(/^(\.?\/)+/, ""));
  const [object, second] = wanted;
  if (second !== undefined) {
    throw invalid(what, `it contains several object files: ${wanted.map((file) => file.name).join(", ")}`);
  }
  if (object === undefined) {
    const elsewhere = objects[0]?.name;
    const reason =
      fileName === null
        ? "it contains no object file"
        : `it contains no object file "${fileName}", which its label names`;
    throw invalid(
      what,
      reason,
      elsewhere === undefined ? undefined : `"${elsewhere}" should be at its root, and alone there`,
    );
  }
  if (object.bytes.length > OBJECT_BYTES_MAX) {
    throw invalid(what, `"${object.name}" has ${object.bytes.length} bytes, more than ${OBJECT_BYTES_MAX}`);
  }
  // Copy it: a view would keep the whole archive in memory.
  return { name: object.name, bytes: object.bytes.slice() };
}

const startsWith = (bytes: Uint8Array, magic: readonly number[], from = 0): boolean =>
  magic.every((byte, index) => bytes[from + index] === byte);

/** Detects the format from the bytes, because media types are known to be wrong about compression. */
async function unpack(bytes: Uint8Array, what: string): Promise<Uint8Array> {
  const isZstd = startsWith(bytes, ZSTD) || startsWith(bytes, ZSTD_SKIPPABLE, 1);
  if (!isZstd && !startsWith(bytes, GZIP)) {
    if (bytes.length > LAYER_TAR_BYTES_MAX) throw invalid(what, `it has more than ${LAYER_TAR_BYTES_MAX} bytes`);
    return bytes;
  }
  const unpacked = (await streamed(bytes, isZstd ? "zstd" : "gzip")) ?? (isZstd ? null : await unpadded(bytes));
  if (unpacked === null) throw invalid(what, "it cannot be unpacked");
  if (unpacked.length > LAYER_TAR_BYTES_MAX)
    throw invalid(what, `unpacked, it has more than ${LAYER_TAR_BYTES_MAX} bytes`);
  return unpacked;
}

/** Handles all members and frames of the stream, on another thread. Stops beyond the bound; null if it is damaged. */
async function streamed(bytes: Uint8Array, format: "gzip" | "zstd"): Promise<Uint8Array | null> {
  const parts: Uint8Array[] = [];
  let length = 0;
  try {
    // node:zlib would cost 3 ms to load.
    for await (const part of new Blob([bytes.slice()]).stream().pipeThrough(new DecompressionStream(format))) {
      parts.push(part);
      length += part.length;
      if (length > LAYER_TAR_BYTES_MAX) break;
    }
    return Buffer.concat(parts);
  } catch {
    return null;
  }
}

/** Unpacks what is padded with zeros, which gzip(1) and node:zlib ignore, and DecompressionStream refuses; null if nothing is. */
async function unpadded(bytes: Uint8Array): Promise<Uint8Array | null> {
  if (bytes.at(-1) !== 0) return null;
  const { gunzip } = await import("node:zlib");
  const { promise, resolve } = Promise.withResolvers<Uint8Array | null>();
  gunzip(bytes, { maxOutputLength: LAYER_TAR_BYTES_MAX }, (error, unpacked) =>
    resolve(error === null ? unpacked : null),
  );
  return promise;
}
