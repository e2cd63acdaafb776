/**
 * What the documents name of the internet, in the network namespace that this is started in: registries, and the public
 * instance of Sigstore, over TLS at addresses on loopback. Usage: FOLDER. What a client needs of it is written there; it
 * serves until its input ends.
 */
import { writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { compileBpf } from "./compile.ts";
import { makeCertificate, startRegistry } from "./registry.ts";
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

const [folder = ""] = process.argv.slice(2);
const path = (name: string): string => join(folder, name);
const tls = { key: path("key.pem"), certificate: path("authority.pem") };
makeCertificate(tls, [...Object.keys(ADDRESSES).map((name) => `DNS:${name}`), `IP:${PUBLIC}`]);
writeFileSync(
  path("hosts"),
  Object.entries(ADDRESSES)
    .map(([name, address]) => `${address} ${name}\n`)
    .join(""),
);

const [open, guarded, sigstore] = await Promise.all([
  startRegistry({ address: `${PUBLIC}:443`, tls }),
  startRegistry({ address: `${GUARDED}:443`, tls, login: "basic" }),
  openSigstore("https://rekor.sigstore.dev"),
]);

// As it is in quay.io.
writeFileSync(path("xdp_pass.o"), compileBpf('SEC("xdp") int pass(struct xdp_md *ctx) { return 2; }'));
const platforms = ["--bc-amd64-el", path("xdp_pass.o"), "--bc-arm64-el", path("xdp_pass.o")];
const image = `${open.host}/bpfman-bytecode/xdp_pass:latest`;
const build = [BPFMAN, "image", "build", "--ca-file", tls.certificate, "-t", image, ...platforms];
if (Bun.spawnSync(build, { stdio: ["ignore", "ignore", "inherit"] }).exitCode !== 0) process.exit(1);

/** Where cosign 3 looks for the services that it signs with. */
const service = (url: string) => ({
  url,
  majorApiVersion: 1,
  validFor: { start: "2024-01-01T00:00:00Z" },
  operator: "test",
});
const signingConfig = {
  mediaType: "application/vnd.dev.sigstore.signingconfig.v0.2+json",
  caUrls: [service("https://fulcio.sigstore.dev")],
  rekorTlogUrls: [service("https://rekor.sigstore.dev")],
  rekorTlogConfig: { selector: "ANY" },
};
const tuf = tufRepository({
  "trusted_root.json": sigstore.trustedRoot,
  "signing_config.v0.2.json": JSON.stringify(signingConfig),
});
writeFileSync(path("root.json"), tuf.root);

const sign = sigstoreService(sigstore);
const server = Bun.serve({
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

console.log("ready");
await new Response(Bun.stdin.stream()).text();
await Promise.all([server.stop(true), open.close(), guarded.close()]);
