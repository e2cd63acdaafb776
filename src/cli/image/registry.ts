/** Commands on images in registries, and in the cache. */
import { asking, defineCommand, type Field, optional, several, toggle, usageError } from "../command.ts";
import { DRY_RUN } from "../fields.ts";
import { renderImageList, renderInspected, renderPruned, renderPulled, renderVerified } from "../render/image.ts";
import { IMAGE_URL, imageRequest, PULLED, REGISTRY_AUTH } from "./fields.ts";

export const pullImage = defineCommand(() => ({
  fields: PULLED,
  classic: {
    examples: {
      "Cache an image so that it can be loaded without network access":
        "bpfman image pull --image-url quay.io/bpfman-bytecode/xdp_pass:latest",
      "Pull even if the image is cached, with credentials":
        "bpfman image pull -i localhost:5000/counter:v1 -p Always -r dXNlcjpwYXNzd29yZA==",
    },
  },
  prepare: (values) => asking("image/pull", imageRequest(values), renderPulled),
}));

export const listImages = defineCommand(() => ({
  description: [
    "Lists the images in the cache: when each was last pulled or loaded from, and the",
    "programs that came from it. Images share files, so their sizes can overlap.",
  ],
  fields: {},
  classic: {
    examples: {
      "List the images in the cache": "bpfman image list",
      "List them for scripts, with whole digests": "bpfman image list -o json",
    },
  },
  prepare: (request) => asking("image/list", request, renderImageList),
}));

export const pruneImages = defineCommand(() => ({
  description: [
    "Removes images from the cache that no loaded program came from, and files that",
    "belong to no image. Programs keep running without their image. Pulls that run",
    "are waited for, at most as long as --lock-timeout says.",
  ],
  fields: { dryRun: DRY_RUN },
  classic: {
    examples: {
      "See what would be removed, and how much space that makes": "bpfman image prune --dry-run",
      "Remove unused images": "bpfman image prune",
    },
  },
  prepare: (request) => asking("image/prune", request, renderPruned),
}));

export const inspectImage = defineCommand(() => ({
  fields: { url: IMAGE_URL, registryAuth: REGISTRY_AUTH },
  // Like newer bpfman, where this command comes from.
  output: "json",
  noun: {
    words: ["url"],
    examples: {
      "Show the programs, maps and layers of an image, for each platform":
        "bpfman image inspect quay.io/bpfman-bytecode/xdp_pass:latest",
    },
  },
  prepare: (request) => asking("image/inspect", request, renderInspected),
}));

const IDENTITY = optional({
  long: "certificate-identity",
  doc: [
    "Identity that the signer's certificate must name.",
    "It is an e-mail address or the URI of a workflow, and needs an issuer.",
    "An identity or a key replaces the signers in the configuration.",
    "Example: --certificate-identity dev@example.com",
  ],
});
const IDENTITY_REGEXP = optional({
  long: "certificate-identity-regexp",
  doc: [
    "Regular expression that must match the whole identity.",
    "It uses RE2 syntax, like cosign.",
    'Example: --certificate-identity-regexp "https://github.com/acme/.*"',
  ],
});
const ISSUER = optional({
  long: "certificate-oidc-issuer",
  doc: [
    "OIDC issuer that must have vouched for the identity.",
    "Example: --certificate-oidc-issuer https://token.actions.githubusercontent.com",
  ],
});
const ISSUER_REGEXP = optional({
  long: "certificate-oidc-issuer-regexp",
  doc: ["Regular expression that must match the whole issuer."],
});
export const verifyImage = defineCommand(() => ({
  fields: {
    url: IMAGE_URL,
    registryAuth: REGISTRY_AUTH,
    allowUnsigned: toggle({
      long: "allow-unsigned",
      doc: [
        "Accept an image that has no signature, with a warning.",
        "An image whose signatures are all untrusted is still rejected.",
      ],
    }),
    identity: IDENTITY,
    identityRegexp: IDENTITY_REGEXP,
    issuer: ISSUER,
    issuerRegexp: ISSUER_REGEXP,
    trustedKeys: several({
      takes: "list",
      long: "key",
      completes: "file",
      doc: [
        "Public keys in PEM; one of them must verify the signature.",
        "Checking against a key needs no network access beyond the registry.",
        "Example: --key cosign.pub",
      ],
    }),
    trustedRoot: optional({
      long: "trusted-root",
      completes: "file",
      doc: [
        "Trusted root: the authorities and logs to check certificates against.",
        'A file from "cosign trusted-root create"; default: Sigstore\'s public root.',
      ],
    }),
  },
  noun: {
    words: ["url"],
    examples: {
      "Check an image against the signers in the configuration":
        "bpfman image verify quay.io/bpfman-bytecode/xdp_pass:latest",
      "Check that a workflow of a project signed it":
        'bpfman image verify ghcr.io/acme/xdp:v1 --certificate-identity-regexp "https://github.com/acme/.*" --certificate-oidc-issuer https://token.actions.githubusercontent.com',
      "Check that a key signed it": "bpfman image verify localhost:5000/counter:v1 --key cosign.pub",
    },
  },
  prepare({ identity: exactly, identityRegexp, issuer: from, issuerRegexp, ...request }) {
    const identity = match([IDENTITY, exactly], [IDENTITY_REGEXP, identityRegexp]);
    const issuer = match([ISSUER, from], [ISSUER_REGEXP, issuerRegexp]);
    if ((identity === null) !== (issuer === null)) {
      throw usageError(
        "an identity needs an issuer, and an issuer an identity",
        `give both --${IDENTITY.long} and --${ISSUER.long}, or their -regexp forms`,
      );
    }
    const trustedIdentities = identity === null ? [] : [{ identity, issuer }];
    return asking("image/verify", { ...request, trustedIdentities }, renderVerified);
  },
}));

type Stated = readonly [option: Field, value: string | null];

function match([whole, exact]: Stated, [pattern, regexp]: Stated) {
  if (exact !== null && regexp !== null) {
    throw usageError(`--${whole.long} and --${pattern.long} cannot be given together`);
  }
  if (exact !== null) return { exact };
  return regexp === null ? null : { regexp };
}
