/**
 * Stands in for the internet services that the documents name, in the network namespace in which it is started:
 * registries and Sigstore's public instance, over TLS on loopback. Usage: DIRECTORY, to which it writes what a client
 * needs. Serves until its input ends.
 */
import { writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { compileBpf } from "../objects/compile.ts";
import { makeCertificate, startRegistry, type TestRegistry } from "./registry.ts";
import { openSigstore } from "./sigstore.ts";
import { identityToken, sigstoreService } from "./sigstore-server.ts";
import { tufRepository } from "./tuf-server.ts";

const BPFMAN = resolve(import.meta.dir, "../../dist/bpfman");
const ISSUER = "token.actions.githubusercontent.com";
const IDENTITY = "https://github.com/acme/counter/.github/workflows/release.yml@refs/tags/v1";
const [PUBLIC, GUARDED, SIGSTORE] = ["127.0.0.2", "127.0.0.3", "127.0.0.4"] as const;
const ADDRESSES = {
  "quay.io": PUBLIC,
  "ghcr.io": GUARDED,
  "fulcio.sigstore.dev": SIGSTORE,
  "rekor.sigstore.dev": SIGSTORE,
  "tuf.example.com": SIGSTORE,
  [ISSUER]: SIGSTORE,
};

const [directory = ""] = process.argv.slice(2);
const path = (name: string): string => join(directory, name);
const tls = { key: path("key.pem"), certificate: path("authority.pem") };
makeCertificate(tls, [...Object.keys(ADDRESSES).map((name) => `DNS:${name}`), `IP:${PUBLIC}`]);
writeFileSync(
  path("hosts"),
  Object.entries(ADDRESSES)
    .map(([name, address]) => `${address} ${name}\n`)
    .join(""),
);

/** Where cosign 3 looks for the services that it signs with. */
const service = (url: string) => ({
  ...{ url, majorApiVersion: 1, operator: "test" },
  validFor: { start: "2024-01-01T00:00:00Z" },
});
const SIGNING_CONFIG = {
  mediaType: "application/vnd.dev.sigstore.signingconfig.v0.2+json",
  caUrls: [service("https://fulcio.sigstore.dev")],
  rekorTlogUrls: [service("https://rekor.sigstore.dev")],
  rekorTlogConfig: { selector: "ANY" },
};

/** The image that everybody tries first, as it is in quay.io. */
function publishExample(host: string): void {
  writeFileSync(path("xdp_pass.o"), compileBpf('SEC("xdp") int pass(struct xdp_md *ctx) { return 2; }'));
  const platforms = ["--bc-amd64-el", path("xdp_pass.o"), "--bc-arm64-el", path("xdp_pass.o")];
  const image = ["-t", `${host}/bpfman-bytecode/xdp_pass:latest`];
  const build = [BPFMAN, "image", "build", "--ca-file", tls.certificate, ...image, ...platforms];
  const { exitCode } = Bun.spawnSync(build, { stdio: ["ignore", "ignore", "inherit"] });
  if (exitCode !== 0) throw new Error(`bpfman image build ended with ${exitCode}`);
}

/** Fulcio, Rekor, the repository with the trusted root, and the one that says who a workflow is. */
async function startSigstore() {
  const sigstore = await openSigstore("https://rekor.sigstore.dev");
  const sign = sigstoreService(sigstore);
  const tuf = tufRepository({
    "trusted_root.json": sigstore.trustedRoot,
    "signing_config.v0.2.json": JSON.stringify(SIGNING_CONFIG),
  });
  writeFileSync(path("root.json"), tuf.root);
  return Bun.serve({
    hostname: SIGSTORE,
    port: 443,
    tls: { key: Bun.file(tls.key), cert: Bun.file(tls.certificate) },
    async fetch(request) {
      switch (new URL(request.url).hostname) {
        case ISSUER:
          return Response.json({ value: identityToken({ identity: IDENTITY, issuer: `https://${ISSUER}` }) });
        case "tuf.example.com":
          return tuf.answer(request);
        default:
          return sign(request);
      }
    },
  });
}

const registries: TestRegistry[] = [];
try {
  const open = await startRegistry({ address: `${PUBLIC}:443`, tls });
  registries.push(open);
  registries.push(await startRegistry({ address: `${GUARDED}:443`, tls, login: "basic" }));
  publishExample(open.host);
  const server = await startSigstore();
  console.log("ready");
  await new Response(Bun.stdin.stream()).text();
  await server.stop(true);
} finally {
  await Promise.all(registries.map((registry) => registry.close()));
}
