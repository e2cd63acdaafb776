/** A registry on loopback with one image in it, for tests that need an answer rather than a registry. */
import { createHash } from "node:crypto";
import { basename, dirname } from "node:path";
import { gzipSync } from "node:zlib";

export interface ImageServer {
  /** `127.0.0.1:PORT/NAME:TAG` */
  readonly reference: string;
  close(): Promise<void>;
}

const MANIFEST = "application/vnd.oci.image.manifest.v1+json";

/** Serves an object file as an image, with labels that name these programs and maps by their types. */
export function serveImage(
  object: string,
  labels: { readonly programs: Readonly<Record<string, string>>; readonly maps: Readonly<Record<string, string>> },
): ImageServer {
  const tar = Bun.spawnSync(["tar", "-C", dirname(object), "-cf", "-", basename(object)]);
  if (tar.exitCode !== 0) throw new Error(`tar: ${tar.stderr}`);
  const blobs = new Map<string, Uint8Array>();
  const keep = (bytes: Uint8Array, mediaType: string) => {
    const digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
    blobs.set(digest, bytes);
    return { mediaType, digest, size: bytes.length };
  };
  const json = (value: object) => new TextEncoder().encode(JSON.stringify(value));
  const Labels = {
    "io.ebpf.programs": JSON.stringify(labels.programs),
    "io.ebpf.maps": JSON.stringify(labels.maps),
    "io.ebpf.filename": basename(object),
  };
  const image = {
    schemaVersion: 2,
    mediaType: MANIFEST,
    config: keep(
      json({ architecture: "amd64", os: "linux", config: { Labels } }),
      "application/vnd.oci.image.config.v1+json",
    ),
    layers: [keep(gzipSync(tar.stdout), "application/vnd.oci.image.layer.v1.tar+gzip")],
  };
  const manifest = json(image);
  const { digest } = keep(manifest, MANIFEST);

  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch(request) {
      const path = new URL(request.url).pathname;
      if (path === "/v2/") return new Response("{}");
      const name = path.split("/").at(-1) ?? "";
      const bytes = name === "v1" ? manifest : blobs.get(name);
      if (!path.startsWith("/v2/packet/counter/") || bytes === undefined) return new Response("", { status: 404 });
      const headers = path.includes("/manifests/")
        ? { "content-type": MANIFEST, "docker-content-digest": digest }
        : undefined;
      return new Response(Buffer.from(bytes), headers === undefined ? {} : { headers });
    },
  });
  return { reference: `127.0.0.1:${server.port}/packet/counter:v1`, close: () => server.stop(true) };
}
