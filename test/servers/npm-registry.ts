/** A registry of npm packages on loopback that has nothing but the packed files it is given. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { run } from "../../scripts/vm/run.ts";

export interface NpmRegistry {
  readonly url: string;
  /** Names of the packages whose files were fetched. */
  readonly fetched: readonly string[];
  close(): Promise<void>;
}

export function startNpmRegistry(packed: readonly string[]): NpmRegistry {
  const fetched: string[] = [];
  const packages = new Map(
    packed.map((file) => {
      const manifest = JSON.parse(run(["tar", "-xOf", file, "package/package.json"])) as {
        name: string;
        version: string;
      };
      return [manifest.name, { file, manifest }];
    }),
  );
  const server: Bun.Server<undefined> = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch({ url }): Response {
      const path = decodeURIComponent(new URL(url).pathname.slice(1));
      const isFile = path.endsWith(".tgz");
      const found = packages.get(path.replace(/\.tgz$/, ""));
      if (found === undefined) return new Response("{}", { status: 404 });
      const { file, manifest } = found;
      const bytes = readFileSync(file);
      if (isFile) {
        fetched.push(manifest.name);
        return new Response(bytes);
      }
      const integrity = `sha512-${createHash("sha512").update(bytes).digest("base64")}`;
      const dist = { tarball: `${server.url}${manifest.name}.tgz`, integrity };
      const versions = { [manifest.version]: { ...manifest, dist } };
      return Response.json({ name: manifest.name, "dist-tags": { latest: manifest.version }, versions });
    },
  });
  return { url: String(server.url), fetched, close: () => server.stop(true) };
}
